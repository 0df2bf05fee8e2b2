"""`tf-hps serve`, over a real gRPC socket."""

import gc
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from served_models import Client, export_version, serving
from tensorflow_serving.apis import get_model_metadata_pb2

from tf_hps._library import load_core

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Versions 1 and 2, to be copied."""
    folder = tmp_path_factory.mktemp("exported")
    for version in (1, 2):
        export_version(folder / "m", version, 100.0 * version, folder / "store")
    return folder / "m"


@pytest.fixture
def base(exported, tmp_path):
    shutil.copytree(exported / "1", tmp_path / "sums" / "1")
    return tmp_path / "sums"


@pytest.fixture
def client(base):
    with serving(base) as client:
        yield client


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def bring(exported, base, version):
    """As a deployment should do it: copied beside, then renamed."""
    shutil.copytree(exported / str(version), base.parent / f"copy-{version}")
    (base.parent / f"copy-{version}").rename(base / str(version))


def test_predict_answers_as_the_model(client):
    assert client.predict([0, 7, 49]) == (1, [400.0, 407.0, 449.0])
    # An id that the table does not have gets the default row.
    assert client.predict([1000, 1]) == (1, [0.0, 401.0])
    assert client.predict(np.zeros(0, np.int64)) == (1, [])


def test_metadata_tells_the_signature(client):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "sums"
    answer = client.stub.GetModelMetadata(request, timeout=30)
    assert answer.model_spec.version.value == 1
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    ids = signatures.signature_def["serving_default"].inputs["ids"]
    assert (ids.dtype, tf.TensorShape(ids.tensor_shape).rank) == (tf.int64.as_datatype_enum, 1)
    request.metadata_field[:] = ["weights"]
    with pytest.raises(grpc.RpcError, match="weights") as refused:
        client.stub.GetModelMetadata(request, timeout=30)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def broken_requests(client):
    missing = client.request([1])
    del missing.inputs["ids"]
    unknown = client.request([1])
    unknown.inputs["age"].CopyFrom(tf.make_tensor_proto([1.0]))
    filtered = client.request([1])
    filtered.output_filter.append("rating")
    unfilled = client.request([1])
    unfilled.inputs["ids"].tensor_content = b"123"
    huge = client.request([1])
    huge.inputs["ids"].tensor_shape.dim[0].size = 1 << 40
    negative = client.request([1])
    negative.inputs["ids"].tensor_shape.dim[0].size = -1
    odd = client.request([1])
    odd.inputs["ids"].dtype = 99
    invalid, gone = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    return [
        (client.request([[1, 2]]), invalid, r'"ids" has shape \(None,\). Received: \(1, 2\)'),
        (client.request(3), invalid, r'"ids" has shape \(None,\). Received: \(\)'),
        (client.request([1], dtype=tf.int32), invalid, '"ids" is int64. Received: int32'),
        (client.request(["a"], dtype=tf.string), invalid, '"ids" is int64. Received: string'),
        (odd, invalid, '"ids" is int64. Received: dtype 99'),
        (missing, invalid, "inputs are ids; missing: ids"),
        (unknown, invalid, "inputs are ids; unknown: age"),
        (filtered, invalid, "Received: output_filter rating"),
        (unfilled, invalid, '"ids": its values do not fill its shape'),
        (huge, invalid, r"Received: shape \(1099511627776,\)"),
        (negative, invalid, "a tensor has a whole shape"),
        (client.request([1], signature_name="train"), invalid, 'no signature "train"; it has: '),
        (client.request([1], version_label="canary"), invalid, 'no labels here.*"canary"'),
        (client.request([1], model=""), invalid, "names no model"),
        (client.request([1], model="other"), gone, 'Served is model "sums". Received: "other"'),
        (client.request([1], version=9), gone, "version 9, is not served. Served is: version 1"),
    ]


def test_bad_requests_say_what_is_wrong_and_the_next_good_one_works(client):
    for request, code, message in broken_requests(client):
        told = client.refusal(request)
        assert told[0] == code and re.search(message, told[1]), told
        assert client.predict([5]) == (1, [405.0])


def test_a_new_version_takes_over_without_a_failed_request(exported, base):
    with serving(base) as client:
        answers, failures, stopping = [], [], threading.Event()

        def ask():
            own = Client(client.port, "sums")
            while not stopping.is_set():
                try:
                    answers.append(own.predict([5]))
                except grpc.RpcError as error:
                    failures.append(error)
            own.close()

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: len(answers) > 20)
            bring(exported, base, 2)
            wait_for(lambda: client.states()[1][0] == "END")
            seen = len(answers)
            wait_for(lambda: len(answers) > seen + 20)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        assert not failures
        # Each version answered with its own rows.
        assert {(version, *sums) for version, sums in answers} == {(1, 405.0), (2, 805.0)}
        assert client.states() == {1: ("END", ""), 2: ("AVAILABLE", "")}
        code, _ = client.refusal(client.request([1], version=1))
        assert code == grpc.StatusCode.NOT_FOUND
        # The old version's tables are gone with it.
        gc.collect()
        open_now = {store["path"] for store in load_core().open_stores()}
        assert str(base / "2" / "assets.extra" / "hps") in open_now
        assert str(base / "1" / "assets.extra" / "hps") not in open_now

        # Back to the former one: its folder is what is left.
        (base / "2").rename(base.parent / "withdrawn")
        wait_for(lambda: client.predict([5])[0] == 1)


def test_a_version_that_does_not_load_changes_nothing_until_it_is_mended(exported, base):
    with serving(base) as client:
        bring(exported, base, 2)
        # In place before it is looked at, or mended below: either way version 2 serves in the end.
        wait_for(lambda: client.predict([5])[0] == 2)
        shutil.copytree(exported / "2", base.parent / "3")
        (base.parent / "3" / "assets.extra" / "hps" / "CURRENT").unlink()
        (base.parent / "3").rename(base / "3")
        wait_for(lambda: client.states().get(3, ("", ""))[0] == "END")
        assert "assets.extra/hps" in client.states()[3][1]
        assert client.predict([5]) == (2, [805.0])
        current = exported / "2" / "assets.extra" / "hps" / "CURRENT"
        shutil.copy(current, base / "3" / "assets.extra" / "hps" / "CURRENT")
        wait_for(lambda: client.predict([5])[0] == 3)


def test_warm_up_requests_of_the_saved_model_are_replayed(exported, base):
    from tensorflow_serving.apis import prediction_log_pb2

    with serving(base) as client:
        request = client.request([1, 2, 3])
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    path = base / "1" / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(7):
            writer.write(log.SerializeToString())
    with serving(base):
        core = load_core()
        table = core.Table(str(base / "1" / "assets" / "hps.json"), "id")
        assert table.stats()["lookups"] == 7
        assert table.stats()["keys"] == 21
    # One that fails keeps the version from serving.
    request.inputs["ids"].dtype = tf.int32.as_datatype_enum
    log.predict_log.request.CopyFrom(request)
    path.write_bytes(b"")
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    with pytest.raises(Exception, match='"ids" is int64'), serving(base):
        pass


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no version"), serving(tmp_path):
        pass


def test_the_command_serves_the_example_client_and_ends_on_sigterm(base):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tf_hps", "serve", "--model_base_path", str(base)]
    server = subprocess.Popen(
        [*command, "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = [server.stdout.readline(), server.stdout.readline()]
        port = re.fullmatch(r"Serving sums on localhost:(\d+)\n", said[1])
        assert "not for production" in said[0] and port, (said, server.stderr.read())
        client = [sys.executable, "examples/predict_client.py"]
        done = subprocess.run(
            [*client, "--server", f"localhost:{port[1]}", "--model", "sums", "--input", "ids=0,7"],
            cwd=ROOT,
            env={k: v for k, v in environment.items() if k != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"version 1\n\w+ = \[400\.0, 407\.0\]\n", done.stdout), done.stdout
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors
    assert "version 1 of sums is unloaded" in errors
