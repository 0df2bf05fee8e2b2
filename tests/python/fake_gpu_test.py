"""Lookups on fake GPUs: the checks in fake_gpu/, in a process of their own with another op library."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
EMULATED = ROOT / "build/release/emulated/tf_hps/_tf_hps_ops.so"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with tf_hps in it, as it is but for the op library."""
    library = pathlib.Path(os.environ.get("TF_HPS_TEST_EMULATED", EMULATED))
    assert library.exists(), f"{library} is not built: ./run test builds it"
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "tf_hps"
    copy.mkdir()
    for source in (ROOT / "tf_hps").iterdir():
        if source.name == "_tf_hps_ops.so":
            continue
        if source.name.startswith("_core.") and source.suffix == ".so":
            shutil.copy(source, copy)  # finds the op library beside itself
        else:
            (copy / source.name).symlink_to(source)
    (copy / "_tf_hps_ops.so").symlink_to(library)
    return folder


@pytest.mark.parametrize(
    "checks", sorted((ROOT / "tests/python/fake_gpu").glob("*.py")), ids=lambda path: path.stem
)
def test_on_fake_gpus(package: pathlib.Path, checks: pathlib.Path, tmp_path: pathlib.Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, checks],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(package), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
