"""tools/serving/patch_serving.py on trees that have the shape of TensorFlow Serving's."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "tools/serving/patch_serving.py"

WORKSPACE = """\
workspace(name = "tf_serving")

load("//tensorflow_serving:repo.bzl", "tensorflow_http_archive")

tensorflow_http_archive(
    name = "org_tensorflow",
)

load("//tensorflow_serving:workspace.bzl", "tf_serving_workspace")

tf_serving_workspace()
"""

# The two forms that the list has had: with contrib before it, and without.
LISTS = {
    "contrib": """\
SUPPORTED_TENSORFLOW_OPS = if_v2([]) + if_not_v2([
    "@org_tensorflow//tensorflow/contrib:contrib_kernels",
]) + [
    "@org_tensorflow_text//tensorflow_text:ops_lib",
    # A comment [with brackets] in the list.
    "@org_tensorflow_decision_forests//tensorflow_decision_forests/tensorflow/ops/inference:kernel_and_op",
]
""",
    "plain": """\
SUPPORTED_TENSORFLOW_OPS = [
    "@org_tensorflow_text//tensorflow_text:ops_lib",
]
""",
    "empty": "SUPPORTED_TENSORFLOW_OPS = [\n]\n",
}
REST = """
cc_library(
    name = "server_lib",
    deps = [
        ":server_core",
    ] + SUPPORTED_TENSORFLOW_OPS,
)
"""


@pytest.fixture(params=LISTS)
def checkout(request, tmp_path):
    (tmp_path / "WORKSPACE").write_text(WORKSPACE)
    build = tmp_path / "tensorflow_serving/model_servers/BUILD"
    build.parent.mkdir(parents=True)
    build.write_text('package(default_visibility = [":x"])\n\n' + LISTS[request.param] + REST)
    return tmp_path


def run(*arguments):
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def contents(checkout):
    return {path: path.read_text() for path in checkout.rglob("*") if path.is_file()}


def ops_of(checkout):
    """What the BUILD file's list evaluates to."""
    values = {"if_v2": lambda items: items, "if_not_v2": lambda items: []}
    text = (checkout / "tensorflow_serving/model_servers/BUILD").read_text()
    values |= {"package": lambda **_: None, "cc_library": lambda **_: None}
    exec(compile(text, "BUILD", "exec"), values)
    return values["SUPPORTED_TENSORFLOW_OPS"]


def test_the_label_and_the_repositories_are_added_once(checkout):
    before = ops_of(checkout)
    assert run(checkout).returncode == 0
    assert ops_of(checkout) == [*before, "@tf_hps//:tf_hps_ops"]
    workspace = (checkout / "WORKSPACE").read_text()
    assert workspace.startswith(WORKSPACE)
    assert f'name = "tf_hps",\n    path = "{ROOT}",' in workspace
    assert workspace.count("\nhiredis_repository()\n") == 1
    patched = contents(checkout)
    again = run(checkout)
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")
    assert contents(checkout) == patched


def test_revert_gives_back_every_byte(checkout):
    before = contents(checkout)
    assert run(checkout).returncode == 0
    assert contents(checkout) != before
    assert run(checkout, "--revert").returncode == 0
    assert contents(checkout) == before
    assert run(checkout, "--revert").stdout == "nothing to do\n"


def test_another_place_of_tf_hps_replaces_the_first(checkout, tmp_path):
    run(checkout)
    assert run(checkout, "--tf_hps", tmp_path / "elsewhere").returncode == 0
    workspace = (checkout / "WORKSPACE").read_text()
    assert f'path = "{tmp_path / "elsewhere"}"' in workspace and str(ROOT) not in workspace
    assert ops_of(checkout).count("@tf_hps//:tf_hps_ops") == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("WORKSPACE", None, "WORKSPACE is not there: is "),
        ("WORKSPACE", 'workspace(name = "x")\n', "WORKSPACE has no @org_tensorflow"),
        ("tensorflow_serving/model_servers/BUILD", "", "BUILD has no SUPPORTED_TENSORFLOW_OPS"),
        (
            "tensorflow_serving/model_servers/BUILD",
            "SUPPORTED_TENSORFLOW_OPS = OTHER\n",
            "the brackets of SUPPORTED_TENSORFLOW_OPS do not match",
        ),
        (
            "tensorflow_serving/model_servers/BUILD",
            "SUPPORTED_TENSORFLOW_OPS = select(x)\n",
            "does not end in a list",
        ),
    ],
)
def test_a_tree_of_another_shape_is_left_alone(tmp_path, name, content, message):
    (tmp_path / "WORKSPACE").write_text(WORKSPACE)
    build = tmp_path / "tensorflow_serving/model_servers/BUILD"
    build.parent.mkdir(parents=True)
    build.write_text(LISTS["plain"])
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    before = contents(tmp_path)
    done = run(tmp_path)
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert done.stderr.endswith("nothing was changed\n")
    assert contents(tmp_path) == before
