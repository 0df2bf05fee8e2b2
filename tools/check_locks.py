"""Runs clang's thread-safety analysis over the floors below the kernels.

The annotations in the headers say which mutex guards what; gcc ignores them. Kernels hold no lock.
"""

import concurrent.futures
import functools
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = ("common", "cache", "storage", "update", "hierarchy")
FLAGS = ["-std=c++17", "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror"]


def tensorflow_include() -> pathlib.Path:
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        sys.exit("TensorFlow is not installed: its headers are needed")
    return pathlib.Path(spec.origin).parent / "include"


def vector_flags(path: pathlib.Path) -> list[str]:
    """The vector files need their instruction set to parse; one superset does for all."""
    if path.stem.endswith(("_avx2", "_avx512")):
        return ["-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt"] + (
            ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"] if "512" in path.stem else []
        )
    return []


def compiler() -> str:
    for name in ("clang++", *(f"clang++-{version}" for version in range(21, 13, -1))):
        if found := shutil.which(name):
            return found
    sys.exit("clang++ is missing: apt-get install clang, or ./run lint")


@functools.cache
def hiredis_include() -> str:
    command = [sys.executable, str(ROOT / "cmake/fetch_hiredis.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def check(path: pathlib.Path) -> str:
    # CUDA's own headers may be missing: the tests' emulation of them has all that the cache uses.
    cuda = ROOT / "tests/cc/cuda_emulation/include"
    systems = [tensorflow_include(), hiredis_include(), cuda]
    headers = [f"-I{ROOT}", *(f"-isystem{folder}" for folder in systems)]
    command = [compiler(), *FLAGS, *vector_flags(path), *headers]
    if (ROOT / ".deps").is_dir():
        for folder in ("usr/include", "usr/include/x86_64-linux-gnu"):
            command.append(f"-idirafter{ROOT / '.deps' / folder}")
    return subprocess.run([*command, str(path)], capture_output=True, text=True).stderr


def main() -> int:
    sources = [path for floor in FLOORS for path in sorted((ROOT / "cc" / floor).glob("*.cc"))]
    hiredis_include()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = "".join(pool.map(check, sources))
    print(said, end="", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
