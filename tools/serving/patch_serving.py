"""Links tf_hps into a checkout of TensorFlow Serving, or takes it out again.

    python tools/serving/patch_serving.py CHECKOUT            # done twice it changes nothing more
    python tools/serving/patch_serving.py CHECKOUT --revert   # the files are as they were, byte for byte

WORKSPACE gets this checkout as the repository @tf_hps, and hiredis; SUPPORTED_TENSORFLOW_OPS of
tensorflow_serving/model_servers gets @tf_hps//:tf_hps_ops. Everything else that tf_hps needs is there
(@org_tensorflow, @com_google_absl, @boringssl) or the system's (librocksdb-dev, zlib1g-dev,
nlohmann-json3-dev).
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LABEL = "@tf_hps//:tf_hps_ops"
BEGIN = "# tf_hps begin (tools/serving/patch_serving.py)"
END = "# tf_hps end"
_BLOCK = re.compile(
    rf"^[ ]*{re.escape(BEGIN)}\n.*?^[ ]*{re.escape(END)}\n", re.MULTILINE | re.DOTALL
)
_OPS = "SUPPORTED_TENSORFLOW_OPS = "


class UnknownShape(Exception):
    """The checkout is not what this program knows."""


def without_block(text: str) -> str:
    return _BLOCK.sub("", text)


def patched_workspace(text: str, tf_hps: pathlib.Path) -> str:
    """The WORKSPACE with both repositories at its end, where TensorFlow's are defined already."""
    if "org_tensorflow" not in text:
        raise UnknownShape("WORKSPACE has no @org_tensorflow: is this TensorFlow Serving?")
    block = f"""\
{BEGIN}
local_repository(
    name = "tf_hps",
    path = "{tf_hps}",
)

load("@tf_hps//bazel:hiredis.bzl", "hiredis_repository")

hiredis_repository()
{END}
"""
    return text + ("" if text.endswith("\n") else "\n") + block


def patched_build(text: str) -> str:
    """The BUILD with the label as the last element of the list of ops."""
    begin = text.find(_OPS)
    if begin < 0:
        raise UnknownShape(f"tensorflow_serving/model_servers/BUILD has no {_OPS.strip(' =')}")
    end = _end_of_statement(text, begin)
    before = text[:end].rstrip()
    if text[end] != "]" or before[-1] not in ",[" or before == text[:end]:
        raise UnknownShape(f"{_OPS.strip(' =')} does not end in a list with an element a line")
    return f'{before}\n    {BEGIN}\n    "{LABEL}",\n    {END}\n{text[end:]}'


def _end_of_statement(text: str, begin: int) -> int:
    """Where the bracket is that closes the last one the statement opens."""
    depth, last = 0, -1
    for position in range(begin, len(text)):
        character = text[position]
        if character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
            last = position
        elif character == "\n" and depth == 0:
            break
    if last < 0 or depth != 0:
        raise UnknownShape(f"the brackets of {_OPS.strip(' =')} do not match")
    return last


def patch(checkout: pathlib.Path, tf_hps: pathlib.Path, revert: bool) -> list[pathlib.Path]:
    """The files that were changed; none where there was nothing to do."""
    workspace = checkout / "WORKSPACE"
    build = checkout / "tensorflow_serving/model_servers/BUILD"
    for path in (workspace, build):
        if not path.is_file():
            raise UnknownShape(
                f"{path} is not there: is {checkout} a checkout of TensorFlow Serving?"
            )
    # Both are made before one is written: a checkout is never half patched.
    wanted = {path: without_block(path.read_text()) for path in (workspace, build)}
    if not revert:
        wanted[workspace] = patched_workspace(wanted[workspace], tf_hps)
        wanted[build] = patched_build(wanted[build])
    changed = [path for path, text in wanted.items() if text != path.read_text()]
    for path in changed:
        path.write_text(wanted[path])
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=pathlib.Path)
    parser.add_argument("--revert", action="store_true")
    parser.add_argument("--tf_hps", type=pathlib.Path, default=ROOT, help="default: this checkout")
    options = parser.parse_args()
    try:
        changed = patch(options.checkout, options.tf_hps.resolve(), options.revert)
    except UnknownShape as error:
        sys.exit(f"error: {error}; nothing was changed")
    print("\n".join(f"changed {path}" for path in changed) or "nothing to do")


if __name__ == "__main__":
    main()
