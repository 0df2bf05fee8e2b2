"""What an export brings so that a fresh server is not cold."""

import json

import numpy as np
import pytest
import tensorflow as tf
from served_models import constant_model, serving
from tables import rows_of
from tensorflow_serving.apis import prediction_log_pb2

import tf_hps
from tf_hps._library import load_core
from tf_hps.saved_model import read_hot_keys, write_hot_keys


def export(base, store, **options):
    served = tf_hps.swap_embeddings(constant_model(10.0), store, **options.pop("swap", {}))
    tf_hps.export(served, base / "1", verbose=False, **options)
    return base


def as_deployed(base, **memory):
    """The export's configuration as of another process, with other options for its memory.

    This process may have the exporter's table open, and a server here would attach to that one.
    """
    path = base / "1" / "assets" / "hps.json"
    config = json.loads(path.read_text())
    deployment = f"deployed-{base.parent.name}"
    hot_keys = base / "1" / "assets.extra" / "hps_hot_keys"
    if hot_keys.exists():
        (hot_keys / config["deployment"]).rename(hot_keys / deployment)
    config["deployment"] = deployment
    config["memory"] |= memory
    path.write_text(json.dumps(config))
    return str(path)


def test_warm_up_requests_are_replayed_before_a_version_serves(tmp_path):
    batches = [np.arange(5), np.array([7]), np.zeros(0, np.int64)]
    base = export(tmp_path / "sums", tmp_path / "store", warmup=[{"ids": ids} for ids in batches])
    written = base / "1" / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(written))
    ]
    assert [log.model_spec.signature_name for log in logs] == ["serving_default"] * 3
    for log, ids in zip(logs, batches, strict=True):
        sent = tf.make_ndarray(log.inputs["ids"])
        assert sent.dtype == np.int64 and sent.tolist() == ids.tolist()
    with serving(base) as client:
        table = load_core().Table(str(base / "1" / "assets" / "hps.json"), "id")
        assert (table.stats()["lookups"], table.stats()["keys"]) == (3, 6)
        assert client.predict([3]) == (1, [43.0])


def test_warm_up_requests_that_do_not_fit_leave_no_export(tmp_path):
    with pytest.raises(ValueError, match=r"'serving_default' are ids\. Received: age"):
        export(tmp_path / "sums", tmp_path / "store", warmup=[{"age": [1]}])
    with pytest.raises(ValueError, match="at most 1,000 requests"):
        export(tmp_path / "sums", tmp_path / "store", warmup=[{"ids": [1]}] * 1001)
    assert not list((tmp_path / "sums").iterdir())


def test_hot_rows_are_in_memory_before_a_server_answers(tmp_path):
    base = export(tmp_path / "sums", tmp_path / "store", hot_keys={"id": [49, 3, 7, 20]})
    # Lookups alone would fill it.
    config = as_deployed(base, capacity_rows=3, preload=False)
    assert json.loads((base / "1/assets/hps.json").read_text())["memory"]["hot_keys_path"] == (
        "../assets.extra/hps_hot_keys"
    )
    with serving(base) as client:
        table = load_core().Table(config, "id")
        # The three hottest: no more have room.
        assert table.stats()["tiers"][0]["rows"] == 3
        assert client.predict([3, 7, 49]) == (1, [43.0, 47.0, 89.0])
        tiers = {tier["kind"]: tier["hits"] for tier in table.stats()["tiers"]}
        assert tiers == {"memory": 3, "rocksdb": 0}


def test_hot_keys_are_taken_from_what_was_asked_for(tmp_path):
    with tf_hps.store.StoreWriter(tmp_path / "store") as writer:
        writer.write_table("movie_id", tf_hps.store.from_arrays(rows_of(np.arange(1000))))
    config = tf_hps.Config(
        deployment=f"hot-{tmp_path.name}",
        memory=tf_hps.MemoryConfig(capacity_rows=200, preload=False),
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store"), read_only=True),
        tables={"movie_id": tf_hps.TableConfig()},
    )
    table = tf_hps.Table("movie_id", config)
    random = np.random.default_rng(0)
    favourites = np.array([11, 222, 333])
    for _ in range(50):
        tf_hps.embedding_lookup(table, np.concatenate([favourites, random.integers(0, 1000, 30)]))
        table._table.wait_for_promotions()
    assert set(table.hot_keys(3)) == set(favourites)
    assert len(table.hot_keys(1000)) == 200

    served = tf.Module()
    served.table = table
    served.lookup = tf.function(
        lambda ids: tf_hps.embedding_lookup(table, ids),
        input_signature=[tf.TensorSpec([None], tf.int64, name="ids")],
    )
    tf_hps.export(served, tmp_path / "1", hot_keys=3)
    written = tmp_path / "1/assets.extra/hps_hot_keys" / config.deployment / "movie_id.keys"
    assert set(read_hot_keys(written)) == set(favourites)


def test_hot_keys_of_no_table_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"tables of the model: id\. Received: movie"):
        export(tmp_path / "sums", tmp_path / "store", hot_keys={"movie": [1]})
    with pytest.raises(ValueError, match=r"`keys` are integers \[n\]\. Received: float64 \(1,\)"):
        export(tmp_path / "sums", tmp_path / "store", hot_keys={"id": [1.5]})


def test_files_of_hot_keys_are_read_by_both_sides(tmp_path):
    path = write_hot_keys(tmp_path, "ratings", "user/id", [5, -(1 << 63), (1 << 63) - 1])
    assert path == str(tmp_path / "ratings" / "user" / "id.keys")
    assert read_hot_keys(path).tolist() == [5, -(1 << 63), (1 << 63) - 1]
    (tmp_path / "other").write_bytes(b"hpshotk1" + b"123")
    with pytest.raises(ValueError, match="holds no hot keys"):
        read_hot_keys(tmp_path / "other")


def test_a_table_beyond_the_containers_memory_fails_to_load_and_says_what_to_lower(
    tmp_path, monkeypatch
):
    base = export(tmp_path / "sums", tmp_path / "store")
    as_deployed(base)
    root = tmp_path / "container"
    (root / "proc/self").mkdir(parents=True)
    (root / "cgroup").mkdir()
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "cgroup/memory.max").write_text("100000\n")
    (root / "cgroup/memory.current").write_text("99500\n")
    monkeypatch.setenv("TF_HPS_TEST_CGROUP_ROOT", str(root))
    with (
        pytest.raises(tf.errors.FailedPreconditionError, match="and 500 are left: of the limit of"),
        serving(base),
    ):
        pass
    (root / "cgroup/memory.current").write_text("0\n")
    with serving(base) as client:
        assert client.predict([3]) == (1, [43.0])
