"""Models in a bucket: exported there, fetched from there, and updated over what was fetched."""

import gc
import json
import os
import uuid

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import two_table_batch, two_table_model

import tf_hps
from tf_hps import cli
from tf_hps._library import load_core
from tf_hps.store.manifest import write_manifest


@pytest.fixture
def bucket():
    """A folder in TensorFlow's file system of this process' memory."""
    return f"ram://{uuid.uuid4().hex}"


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def operator(state_dir, tmp_path, monkeypatch):
    """Makes this process a server, with its file in TF_HPS_CONFIG.

    In a deployment of its own: else it would have the exporter's tables, which are open here.
    """

    def write(**content):
        file = tmp_path / "operator.json"
        file.write_text(json.dumps({"deployment": f"test-{tmp_path.name}", **content}))
        monkeypatch.setenv("TF_HPS_CONFIG", str(file))
        monkeypatch.setenv("TF_HPS_ROCKSDB_STATE_DIR", str(state_dir))
        return f"test-{tmp_path.name}"

    return write


def export(model, path, tmp_path, **options):
    """The generations by table."""
    served = tf_hps.swap_embeddings(model, tmp_path / "store")
    tf_hps.export(served, path, verbose=False, **options)
    return {entry.table: entry.generation for entry in tf_hps.swap_report(served).moved}


def copy(folder, url):
    """As a user's own tool does it, over what is there."""
    for place, _, names in os.walk(folder):
        target = f"{url}/{os.path.relpath(place, folder)}".removesuffix("/.")
        tf.io.gfile.makedirs(target)
        for name in names:
            with open(f"{place}/{name}", "rb") as file:
                put(f"{target}/{name}", file.read())


def put(url, content):
    if tf.io.gfile.exists(url):  # or ram:// appends
        tf.io.gfile.remove(url)
    with tf.io.gfile.GFile(url, "wb") as file:
        file.write(content)


def fetched(state_dir):
    return sorted(path for path in (state_dir / "stores").iterdir() if path.is_dir())


def test_a_model_in_a_bucket_answers_as_the_one_that_was_exported(
    bucket, state_dir, operator, tmp_path, capsys
):
    model, batch = two_table_model(), two_table_batch()
    export(model, f"{bucket}/m/1/", tmp_path, hot_keys={"user_id": [3]})
    operator()
    assert not os.path.exists("ram:")
    loaded = tf_hps.load(f"{bucket}/m/1")
    np.testing.assert_array_equal(loaded.serve(batch), model(batch))
    (store,) = fetched(state_dir)
    assert str(store) in {entry["path"] for entry in load_core().open_stores()}
    table = load_core().Table(f"{bucket}/m/1/assets/hps.json", "user_id")
    assert table.stats()["rows"] == 50
    # As a server does it, which knows nothing of us.
    plain = tf.saved_model.load(f"{bucket}/m/1")
    np.testing.assert_array_equal(plain.serve(batch), model(batch))
    assert cli.main(["config", f"{bucket}/m/1"]) == 0
    said = capsys.readouterr().out
    assert f'"{bucket}/m/1/assets.extra/hps"' in said and "TF_HPS_ROCKSDB_STATE_DIR" in said

    # What was loaded can be exported: its store is the fetched one, and no folder of an export.
    wrapped = tf.Module()
    wrapped.model = loaded
    wrapped.serve = tf.function(
        loaded.serve,
        input_signature=[[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)]],
    )
    tf_hps.export(wrapped, tmp_path / "again", group=False)
    again = tf_hps.load(tmp_path / "again")
    np.testing.assert_array_equal(again.serve(batch), model(batch))


def test_updates_lie_over_what_was_fetched(bucket, state_dir, operator, tmp_path):
    url, keys = f"{bucket}/1", np.arange(5, dtype=np.int32)
    model = keras.Sequential(
        [keras.Input((), dtype="int32"), keras.layers.Embedding(9, 2, name="user_id")]
    )
    generations = export(model, url, tmp_path)
    (tmp_path / "stream").mkdir()
    deployment = operator(updates={"url": str(tmp_path / "stream"), "poll_ms": 2})
    loaded = tf_hps.load(url)
    with tf_hps.Publisher(str(tmp_path / "stream"), deployment, generations) as trainer:
        trainer.publish("user_id", [1], np.full((1, 2), 7.0, np.float32))
        trainer.erase("user_id", [2])
        position = trainer.commit()
    load_core().Table(f"{url}/assets/hps.json", "user_id").wait_until(position, 30)
    expected = np.array(model(keys))
    expected[1], expected[2] = 7.0, 0.0
    np.testing.assert_array_equal(loaded.serve(keys), expected)
    before = {path: path.read_bytes() for path in fetched(state_dir)[0].iterdir()}

    # A server that is started again goes on with them, without the stream.
    del loaded
    gc.collect()
    (tmp_path / "stream").rename(tmp_path / "gone")
    (tmp_path / "stream").mkdir()
    again = tf_hps.load(url)
    np.testing.assert_array_equal(again.serve(keys), expected)
    assert {path: path.read_bytes() for path in fetched(state_dir)[0].iterdir()} == before


def test_another_generation_at_the_same_url(bucket, state_dir, operator, tmp_path):
    url, batch, loaded = f"{bucket}/1", two_table_batch(), []
    models = [two_table_model(seed) for seed in (1, 2)]
    for number, model in enumerate(models):
        export(model, tmp_path / str(number), tmp_path)
        write_manifest(tmp_path / str(number) / "assets.extra/hps")
    operator()
    for number in range(2):
        copy(tmp_path / str(number), url)
        loaded.append(tf_hps.load(url))
    for model, each in zip(models, loaded, strict=True):
        np.testing.assert_array_equal(each.serve(batch), model(batch))
    assert len(fetched(state_dir)) == 2


def test_what_a_state_dir_may_not_be(bucket, state_dir, tmp_path, monkeypatch):
    export(two_table_model(), f"{bucket}/1", tmp_path)
    config = f"{bucket}/1/assets/hps.json"
    with pytest.raises(tf.errors.FailedPreconditionError, match="TF_HPS_ROCKSDB_STATE_DIR"):
        tf_hps.load(f"{bucket}/1")
    monkeypatch.setenv("TF_HPS_ROCKSDB_STATE_DIR", "gs://bucket/state")
    with pytest.raises(ValueError, match="of this machine"):
        load_core().Table(config, "user_id")
    (state_dir / "stores").mkdir(parents=True)
    (state_dir / "stores/deployment").write_text("other")
    monkeypatch.setenv("TF_HPS_ROCKSDB_STATE_DIR", str(state_dir))
    with pytest.raises(tf_hps.errors.FailedPreconditionError, match='deployment "other"'):
        load_core().Table(config, "user_id")
    monkeypatch.setenv("TF_HPS_ROCKSDB_READ_ONLY", "0")
    with pytest.raises(ValueError, match=r"rocksdb\.read_only"):
        load_core().Table(config, "user_id")


def test_a_damaged_file_is_named(bucket, state_dir, operator, tmp_path):
    export(two_table_model(), f"{bucket}/1", tmp_path)
    operator()
    store = f"{bucket}/1/assets.extra/hps"
    damaged = next(name for name in tf.io.gfile.listdir(store) if name.endswith(".sst"))
    with tf.io.gfile.GFile(f"{store}/{damaged}", "rb") as file:
        content = file.read()
    put(f"{store}/{damaged}", content[:100] + b"x" + content[101:])
    with pytest.raises(tf_hps.errors.DataLossError, match=f"{store}/{damaged} is altered"):
        load_core().Table(f"{bucket}/1/assets/hps.json", "user_id")
    put(f"{store}/{damaged}", content[:-1])
    with pytest.raises(tf_hps.errors.DataLossError, match=f"{damaged} ends after"):
        load_core().Table(f"{bucket}/1/assets/hps.json", "user_id")


def test_a_store_that_was_copied_there_by_hand(bucket, state_dir, operator, tmp_path, capsys):
    model, batch = two_table_model(), two_table_batch()
    export(model, tmp_path / "1", tmp_path)

    operator()
    copy(tmp_path / "1", f"{bucket}/1")
    with pytest.raises(tf.errors.FailedPreconditionError, match="tf-hps manifest --store DIR"):
        tf_hps.load(f"{bucket}/1")
    assert cli.main(["manifest", "--store", str(tmp_path / "1/assets.extra/hps")]) == 0
    assert " files, " in capsys.readouterr().out
    copy(tmp_path / "1", f"{bucket}/1")
    loaded = tf_hps.load(f"{bucket}/1")
    np.testing.assert_array_equal(loaded.serve(batch), model(batch))


def test_a_manifest_is_of_a_store_that_nobody_writes(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder, complaint in ((tmp_path / "no", "no such folder"), (tmp_path / "empty", "CURRENT")):
        assert cli.main(["manifest", "--store", str(folder)]) == 2
        assert complaint in capsys.readouterr().err


def test_an_upload_replaces_nothing_and_leaves_nothing_half(bucket, tmp_path, monkeypatch):
    export(two_table_model(), f"{bucket}/1", tmp_path)
    with pytest.raises(FileExistsError, match="replaces nothing"):
        export(two_table_model(), f"{bucket}/1", tmp_path)
    with pytest.raises(tf.errors.UnimplementedError, match="nowhere"):
        export(two_table_model(), "nowhere://1", tmp_path)
    real, written = tf.io.gfile.GFile, []

    def refuse(path, mode):
        written.append(path)
        if path.endswith("tf_hps_manifest.json"):
            raise OSError("the network is gone")
        return real(path, mode)

    monkeypatch.setattr(tf.io.gfile, "GFile", refuse)
    with pytest.raises(OSError, match="the network is gone"):
        export(two_table_model(), f"{bucket}/2", tmp_path)
    assert any(path.endswith(".sst") for path in written)
    assert not any(path.endswith("saved_model.pb") for path in written)
    assert not tf.io.gfile.exists(f"{bucket}/2")
