"""`tf-hps config`: the configuration as it takes effect."""

import argparse
import json
import os


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "config",
        help="print the effective configuration of a SavedModel, with origins",
        description="Print every value of a configuration as it takes effect here, and where it comes "
        "from: hps.json, the file named in TF_HPS_CONFIG, a TF_HPS_* variable, or a default. Secrets "
        "are masked.",
    )
    parser.add_argument(
        "path", metavar="DIR_OR_FILE", help="a SavedModel's folder, or an hps.json; or its URL"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    path = find_config(options.path)
    # The op library knows all options and their defaults; only here is it needed.
    from tf_hps._library import load_core

    values = load_core().explain_config(path)
    print(path)
    lines = [(v["name"], json.dumps(v["value"]), v["origin"]) for v in values]
    names = max((len(name) for name, _, _ in lines), default=0)
    texts = max((len(text) for _, text, _ in lines), default=0)
    for name, text, origin in lines:
        print(f"  {name.ljust(names)}  {text.ljust(texts)}  {origin}")
    return 0


def find_config(path: str) -> str:
    """The hps.json of a SavedModel's folder, or `path` itself where it is a file."""
    if os.path.isfile(path):
        return path
    if "://" in path:  # Whether it is there, TensorFlow's file systems say.
        return path if path.endswith(".json") else f"{path.rstrip('/')}/assets/hps.json"
    tried = [os.path.join(path, "assets", "hps.json"), os.path.join(path, "hps.json")]
    for candidate in tried:
        if os.path.isfile(candidate):
            return candidate
    raise FileNotFoundError(
        f"{path} is no hps.json and has none; looked for {' and '.join(tried)}. A SavedModel has one "
        "where tf_hps.swap_embeddings was used before its export"
    )
