"""`tf-hps bench`: a model's own requests, on it and on the one that it was made from."""

import argparse

from tf_hps._serving_api import require_serving_api

_EXAMPLES = """\
examples:
  tf-hps bench --saved_model rewritten --against trained --requests warmup.tfrecord
  tf-hps bench --saved_model models/ratings/7          with the requests in its assets.extra
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "bench",
        help="replay requests on a model and on its original",
        description="""\
Replay requests on a SavedModel, and on the one that it was made from: times of each request, how they
compare, what the noise of this machine is, the largest difference of the answers, and the memory of each
model. Each runs in a process of its own; they take turns, round by round.""",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--saved_model", required=True, metavar="DIR", help="the SavedModel that is looked at"
    )
    parser.add_argument(
        "--against",
        metavar="DIR",
        help="the SavedModel that it is compared with, e.g. the original",
    )
    parser.add_argument(
        "--requests",
        metavar="FILE",
        help="TFRecords of PredictionLog, as servers log and warm up with, or of PredictRequest (default: "
        "assets.extra/tf_serving_warmup_requests of the models)",
    )
    parser.add_argument(
        "--max_requests",
        type=int,
        default=1000,
        metavar="N",
        help="requests that are taken of the file (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="how long to go on, roughly (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    require_serving_api("tf-hps bench")
    from tf_hps.replay import replay

    report = replay(
        options.saved_model,
        options.against,
        options.requests,
        options.seconds,
        options.max_requests,
    )
    print(report.to_json() if options.json else report)
    return 0
