"""The command line: `tf-hps` and `python -m tf_hps`."""

import argparse
import os
import sys
from collections.abc import Sequence

from tf_hps.commands import (
    bench,
    config,
    inspect,
    load,
    manifest,
    plan,
    rewrite,
    rollback,
    serve,
    snapshot,
    top,
    verify,
)

_COMMANDS = (
    load,
    rewrite,
    inspect,
    verify,
    manifest,
    snapshot,
    rollback,
    config,
    plan,
    bench,
    serve,
    top,
)

# What a user can have done wrong. Anything else is a mistake of ours and shows its traceback.
_USER_ERRORS = (OSError, ValueError, RuntimeError, ImportError)
_FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    # TensorFlow is loaded by some commands; its start-up messages are nobody's answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `tf-hps inspect | head`: nobody reads on. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _USER_ERRORS as error:
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"tf-hps: {text}", file=sys.stderr)
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf-hps",
        description="Embedding tables outside of TensorFlow models: fill, inspect and check stores, rewrite "
        "and serve models.",
        epilog="Exit codes: 0 done, 1 `verify` found a difference, 2 an error.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
