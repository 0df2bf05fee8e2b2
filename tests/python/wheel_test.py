"""The wheel: pip alone installs it, and nothing of this machine's development packages is used."""

import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

from tools.library_licenses import copyright_file, debian_package, unhashed

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.slow

SMOKE = """
import json, pathlib, sys
import numpy as np
import tensorflow as tf
import tf_hps

store = sys.argv[1]
config = tf_hps.Config(
    deployment="smoke",
    memory=tf_hps.MemoryConfig(),
    rocksdb=tf_hps.RocksdbConfig(path=store),
    tables={"movie_id": tf_hps.TableConfig(embedding_dim=4)},
)
table = tf_hps.Table("movie_id", config)
table.insert([7, -1], np.arange(8, dtype=np.float32).reshape(2, 4))
rows = tf_hps.embedding_lookup(table, tf.constant([-1, 8, 7])).numpy()
assert rows.tolist() == [[4, 5, 6, 7], [0, 0, 0, 0], [0, 1, 2, 3]], rows
with tf_hps.store.StoreWriter(store + "_offline") as writer:
    writer.write_table("movie_id", tf_hps.store.from_arrays(rows))
with tf_hps.store.StoreReader(store + "_offline") as reader:
    assert reader.get(reader.record("movie_id"), np.arange(3))[1].all()
maps = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
print(json.dumps({"package": tf_hps.__file__, "version": tf_hps.__version__,
                  "rocksdb": sorted(path for path in maps if "librocksdb" in path)}))
"""


def clean_environment() -> dict[str, str]:
    """Without what could lead Python or the loader back to the checkout."""
    dropped = ("PYTHON", "LD_", "VIRTUAL_ENV", "TF_HPS")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def run(*command: object, cwd: pathlib.Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(ROOT / "run", "wheel", "--output", folder, cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def contents(wheel: pathlib.Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel)


def bundled_libraries(contents: zipfile.ZipFile) -> list[str]:
    return [name.split("/")[1] for name in contents.namelist() if name.startswith("tf_hps.libs/")]


def test_the_wheel_works_in_a_clean_environment(
    wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    (tmp_path / "smoke.py").write_text(SMOKE)
    said = run(python, "smoke.py", tmp_path / "store", cwd=tmp_path).splitlines()[-1]
    assert str(tmp_path / "venv") in said and str(ROOT) not in said
    # Its own RocksDB, under auditwheel's name, and no second one.
    (rocksdb,) = re.findall(r'"rocksdb": \["([^"]*)"\]', said)
    assert re.search(r"/tf_hps\.libs/librocksdb-[0-9a-f]{8}\.so", rocksdb), rocksdb
    listed = run(tmp_path / "venv/bin/tf-hps", "--help", cwd=tmp_path)
    assert all(command in listed for command in ("load", "inspect", "verify", "config"))


def test_the_wheel_bundles_rocksdb_and_not_tensorflow(contents: zipfile.ZipFile) -> None:
    libraries = bundled_libraries(contents)
    assert any(name.startswith("librocksdb") for name in libraries)
    assert not [name for name in libraries if "tensorflow" in name or name.startswith("libc.")]


def test_the_licence_of_every_bundled_library_is_inside(contents: zipfile.ZipFile) -> None:
    inside = {
        pathlib.PurePath(name).stem: contents.read(name)
        for name in contents.namelist()
        if "/licenses/third_party/" in name
    }
    packages = {debian_package(unhashed(name)) for name in bundled_libraries(contents)}
    linked = {"hiredis", "libssl-dev", "nlohmann-json3-dev", "pybind11"}
    assert packages and set(inside) == packages | linked
    for package in packages | {"nlohmann-json3-dev", "libssl-dev"}:
        assert inside[package] == copyright_file(package).read_bytes(), package
    assert b"Wenzel Jakob" in inside["pybind11"]
    assert b"Salvatore Sanfilippo" in inside["hiredis"]
    (own,) = (name for name in contents.namelist() if name.endswith("dist-info/licenses/LICENSE"))
    assert contents.read(own) == (ROOT / "LICENSE").read_bytes()


def test_nothing_in_the_wheel_names_the_folder_it_was_built_in(contents: zipfile.ZipFile) -> None:
    for name in contents.namelist():
        assert os.fsencode(ROOT) not in contents.read(name), name


def test_the_op_library_shows_its_c_door_only(
    contents: zipfile.ZipFile, tmp_path: pathlib.Path
) -> None:
    contents.extract("tf_hps/_tf_hps_ops.so", tmp_path)
    listed = run("nm", "-D", "--defined-only", tmp_path / "tf_hps/_tf_hps_ops.so", cwd=tmp_path)
    names = {line.split()[-1] for line in listed.splitlines()}
    assert names and all(name.startswith("tf_hps_") for name in names), names


def test_no_ratings_are_in_the_wheel(contents: zipfile.ZipFile) -> None:
    assert not [name for name in contents.namelist() if name.endswith((".csv", ".txt.gz"))]
    requirements = contents.read(
        next(name for name in contents.namelist() if name.endswith("METADATA"))
    ).decode()
    assert "Requires-Dist: tensorflow<2.22,>=2.21" in requirements
