"""BUILD and WORKSPACE with Debian's bazel-bootstrap, offline: alone, and as a repository of a server.

Both are compiled and run, a minute each: a unit a folder (bazel/unity.bzl), without the optimizer. Continuous
integration installs bazel where it can; elsewhere they are skipped without it.
"""

import csv
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SERVER = ROOT / "tests/bazel/server"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def bazel_that_runs(tmp_path_factory):
    if shutil.which("bazel") is None:
        pytest.skip("bazel-bootstrap is not installed")
    home = tmp_path_factory.mktemp("home")
    command = ["bazel", "--nohome_rc", "--batch", f"--output_user_root={home}", "help"]
    done = subprocess.run(
        command, cwd=home, env=os.environ | {"HOME": str(home)}, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"bazel does not run here: {done.stderr[-500:]}")


# The repositories that TensorFlow Serving's workspace has, from the wheel.
SERVER_WORKSPACE = f"""\
workspace(name = "server")

local_repository(
    name = "wheel_rules",
    path = "{ROOT}",
)

load("@wheel_rules//bazel:wheel.bzl", "absl_of_wheel", "system_openssl", "tensorflow_wheel")

tensorflow_wheel(name = "org_tensorflow")

absl_of_wheel(name = "com_google_absl")

system_openssl(name = "boringssl")
"""


def bazel(workspace: pathlib.Path, output: pathlib.Path, target: str) -> pathlib.Path:
    command = [sys.executable, str(ROOT / "tools/bazel_build.py"), str(workspace), str(output)]
    done = subprocess.run(
        # Without the optimizer: it is the build that is tested.
        [*command, target, "--mode", "fastbuild"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


def make_server_workspace(folder: pathlib.Path) -> pathlib.Path:
    """A server's checkout into which tools/serving/patch_serving.py has put tf_hps."""
    servers = folder / "tensorflow_serving/model_servers"
    servers.mkdir(parents=True, exist_ok=True)
    shutil.copy(SERVER / "BUILD", servers / "BUILD")
    (folder / "WORKSPACE").write_text(SERVER_WORKSPACE)
    command = [sys.executable, str(ROOT / "tools/serving/patch_serving.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def write_export(folder: pathlib.Path) -> pathlib.Path:
    from served_models import export_version

    export_version(folder / "sums", 1, 10.0, folder / "store")
    return folder / "sums/1"


LOOKUP = """
import sys
import tensorflow as tf
tf.load_op_library(sys.argv[1])
loaded = tf.saved_model.load(sys.argv[2])  # holds the tables
print(*loaded.signatures["serving_default"](ids=tf.constant([1, 2], tf.int64)).values())
"""


def test_the_op_library_alone(tmp_path):
    built = bazel(ROOT, tmp_path / "out", "//:_tf_hps_ops.so")
    done = subprocess.run(
        [sys.executable, "-c", LOOKUP, str(built / "_tf_hps_ops.so"), str(write_export(tmp_path))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "[41. 42.]" in done.stdout
    shown = subprocess.run(
        ["nm", "-D", "--defined-only", "--extern-only", str(built / "_tf_hps_ops.so")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(" tf_hps_" in line for line in shown.splitlines())


def test_linked_statically_into_a_server(tmp_path):
    workspace = make_server_workspace(tmp_path / "server")
    built = bazel(workspace, tmp_path / "out", "//tensorflow_serving/model_servers:model_server")
    model = write_export(tmp_path)
    with (tmp_path / "ids.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["ids"], [1], [2], [49]])
    server = built / "tensorflow_serving/model_servers/model_server"
    done = subprocess.run(
        [str(server), str(model), str(tmp_path / "ids.csv"), "--seconds", "0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.array(done.stdout.split(), np.float32), [41, 42, 89])
