"""`tf-hps serve`: a PredictionService for development."""

import argparse
import logging
import signal
import threading

from tf_hps._serving_api import require_serving_api

_NOT_FOR_PRODUCTION = (
    "For development and tests, not for production: one Python process, no batching, no TLS. "
    "TensorFlow Serving is for that, see docs/serving.md."
)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "serve",
        help="serve a SavedModel over gRPC, for development",
        description="Serve the newest version of a model over gRPC, with TensorFlow Serving's Predict, "
        "GetModelMetadata and GetModelStatus. New versions in the folder are loaded, warmed up and switched "
        f"to without a failed request. {_NOT_FOR_PRODUCTION}",
    )
    parser.add_argument(
        "--model_base_path", required=True, metavar="DIR", help="the folder of version folders"
    )
    parser.add_argument(
        "--model_name", default="", metavar="NAME", help="default: the folder's name"
    )
    parser.add_argument("--host", default="localhost", help="default: %(default)s")
    parser.add_argument(
        "--port", type=int, default=8500, help="0: a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--rest_port",
        type=int,
        metavar="PORT",
        help="where GET /monitoring/prometheus/metrics is answered (default: nowhere)",
    )
    parser.add_argument(
        "--poll_seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="how often the folder is looked at (default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    require_serving_api("tf-hps serve")
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("tf_hps").setLevel(logging.INFO)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    from tf_hps.serving import Server
    from tf_hps.serving.metrics_page import METRICS_PATH

    server = Server(
        options.model_base_path,
        options.model_name,
        options.host,
        options.port,
        options.rest_port,
        options.poll_seconds,
    )
    with server:
        print(_NOT_FOR_PRODUCTION)
        print(f"Serving {server.versions.name} on {options.host}:{server.port}", flush=True)
        if server.rest_port is not None:
            print(f"Metrics on http://{options.host}:{server.rest_port}{METRICS_PATH}", flush=True)
        stopped.wait()
    return 0
