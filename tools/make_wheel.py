"""Makes a wheel that installs with pip alone: RocksDB and what it needs travel inside, with licences.

The wheel is built from source, then `auditwheel repair` copies the native libraries into it under names
of their own, so that they meet no other copy in the process. TensorFlow's stay outside: there is one
TensorFlow in a process.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tools.library_licenses import licenses_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"
# Debian's multiarch folders of packages that were unpacked, for auditwheel's search.
DEPS_LIBRARIES = [DEPS / "usr/lib/x86_64-linux-gnu", DEPS / "lib/x86_64-linux-gnu"]
TENSORFLOW_LIBRARIES = ["libtensorflow_framework.so.2", "libtensorflow_cc.so.2", "libcud*"]


def build(folder: pathlib.Path, jobs: str, cmake: str) -> pathlib.Path:
    for stale in (ROOT / "build").glob("lib.*"):  # setuptools packs whatever it finds there
        shutil.rmtree(stale)
    environment = os.environ | {
        "CMAKE_BUILD_PARALLEL_LEVEL": jobs,
        "CMAKE_ARGS": cmake,
        "CMAKE_BUILD_FOLDER": "build/release",
    }
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, "-w", str(folder), str(ROOT)], check=True, env=environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def repair(wheel: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    searched = [str(path) for path in DEPS_LIBRARIES if path.is_dir()]
    if given := os.environ.get("LD_LIBRARY_PATH"):
        searched.append(given)
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(searched)}
    excludes = [word for name in TENSORFLOW_LIBRARIES for word in ("--exclude", name)]
    command = [sys.executable, "-m", "auditwheel", "repair", *excludes, "-w", str(folder)]
    subprocess.run([*command, str(wheel)], check=True, env=environment)
    (repaired,) = folder.glob("*.whl")
    return repaired


def add_licenses(wheel: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Writes the licence texts of the bundled libraries into the wheel's dist-info folder."""
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    libraries = [path.name for path in (unpacked / "tf_hps.libs").iterdir()]
    (info,) = unpacked.glob("*.dist-info")
    target = info / "licenses" / "third_party"
    target.mkdir(parents=True)
    for package, text in licenses_of(libraries).items():
        (target / f"{package}.txt").write_bytes(text)
    packed = folder / "packed"
    packed.mkdir()
    # `wheel pack` writes the record of files and their hashes anew.
    command = [sys.executable, "-m", "wheel", "pack", str(unpacked), "-d", str(packed)]
    subprocess.run(command, check=True)
    (result,) = packed.glob("*.whl")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "dist")
    parser.add_argument("--jobs", default="", help="compilers at once; default: one a core")
    parser.add_argument("--cmake", default="", help="further arguments for CMake")
    arguments = parser.parse_args()
    jobs = arguments.jobs or str(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="tf_hps_wheel_") as temporary:
        folders = [pathlib.Path(temporary) / name for name in ("built", "repaired", "licensed")]
        for folder in folders:
            folder.mkdir()
        wheel = repair(build(folders[0], jobs, arguments.cmake), folders[1])
        wheel = add_licenses(wheel, folders[2])
        arguments.output.mkdir(parents=True, exist_ok=True)
        target = arguments.output / wheel.name
        shutil.copy(wheel, target)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
