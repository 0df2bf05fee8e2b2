"""A request through gRPC: `tf-hps serve` in a process of its own, a plain client of TensorFlow Serving's interface.

A model shaped like DLRM, with tables and with dense variables; the servers take turns.
"""

import contextlib
import itertools
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import _axes
import _measure
import _models
import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tf_hps.commands import top
from tf_hps.metrics_reader import read_figures

DIM = 32
SAMPLES = (64, 1024)
INPUTS = 64  # requests that differ, of each size
CALLS = {"full": 100, "medium": 30, "small": 5}  # of a server in a round
PERCENTILES = {"p50": 50, "p99": 99}


class Server:
    """`tf-hps serve`, with its preload at its end, and a client."""

    def __init__(self, stack, base):
        command = [sys.executable, "-m", "tf_hps", "serve", "--model_base_path", str(base)]
        process = subprocess.Popen(
            [*command, "--model_name", "dlrm", "--port", "0", "--rest_port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        said = [process.stdout.readline() for _ in range(3)]
        ports = [re.search(r"localhost:(\d+)", line) for line in said]
        assert ports[1] and ports[2], said
        channel = stack.enter_context(grpc.insecure_channel(f"localhost:{ports[1][1]}"))
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        self._metrics = f"localhost:{ports[2][1]}"

    def wait_for_preload(self):
        while True:
            sample = top.sample(read_figures(self._metrics), 0.0)
            name = ":tf_hps:tier:complete"
            if all(sample.get(name, table, "memory") == 1 for table in sample.tables()):
                return
            time.sleep(0.1)

    def probabilities(self, request):
        return tf.make_ndarray(self._predict(request, timeout=60).outputs["probability"])

    def time(self, requests, calls):
        seconds = []
        for _ in range(calls):
            request = next(requests)
            started = time.perf_counter()
            self._predict(request, timeout=60)
            seconds.append(time.perf_counter() - started)
        return np.array(seconds) * 1e3


def make_requests(axes, distribution, samples):
    ids = [
        _axes.draw_ids(distribution, rows, INPUTS * samples, seed).reshape(INPUTS, samples)
        for seed, rows in enumerate(axes.group)
    ]
    made = []
    for one in np.stack(ids, -1):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "dlrm"
        request.inputs["ids"].CopyFrom(tf.make_tensor_proto(one))
        request.inputs["dense"].CopyFrom(tf.make_tensor_proto(_models.dense_features(samples)))
        made.append(request)
    return made


def compare(report, case, servers, requests, rounds, calls):
    ours, dense = servers["tables"], servers["dense"]
    for request in requests[:3]:
        np.testing.assert_array_equal(ours.probabilities(request), dense.probabilities(request))
    turns = {"ours": ours, "dense": dense, "again": dense}
    for server in turns.values():
        server.time(itertools.cycle(requests), len(requests))
    found = {name: [] for name in turns}
    names = list(turns)
    following = {name: itertools.cycle(requests) for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(turns[name].time(following[name], calls))
    for what, percent in PERCENTILES.items():
        ms = {name: [float(np.percentile(r, percent)) for r in found[name]] for name in names}
        ratios = [a / b for a, b in zip(ms["ours"], ms["dense"], strict=True)]
        again = [a / b for a, b in zip(ms["again"], ms["dense"], strict=True)]
        report.add(
            {**case, "what": what},
            "dense tables",
            ratio=statistics.median(ratios),
            lowest=min(ratios),
            highest=max(ratios),
            a_a=statistics.median(again),
            a_a_lowest=min(again),
            a_a_highest=max(again),
            ours_ms=statistics.median(ms["ours"]),
            dense_ms=statistics.median(ms["dense"]),
        )


def main() -> None:
    size = _axes.size(__doc__)
    axes = _axes.SIZES[size]
    report = _measure.Report(
        "serving",
        f"a request over gRPC, {len(axes.group)} tables",
        "time of a request with tables over that with dense variables",
    )
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        servers = {}
        for kind, model in _models.save(folder, axes.group, DIM).items():
            _models.as_version(model, folder / f"{kind}_server/1")
            servers[kind] = Server(stack, folder / f"{kind}_server")
        servers["tables"].wait_for_preload()
        for distribution in _axes.DISTRIBUTIONS:
            for samples in SAMPLES:
                requests = make_requests(axes, distribution, samples)
                case = {"ids": distribution, "samples": samples}
                compare(report, case, servers, requests, axes.rounds, CALLS[size])
    report.finish()


if __name__ == "__main__":
    main()
