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
FLOORS = ("common", "redis", "cache", "storage", "update", "hierarchy")
FLAGS = ["-std=c++17", "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror"]


def tensorflow_include() -> pathlib.Path:
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        sys.exit("TensorFlow is not installed: its headers are needed")
    return pathlib.Path(spec.origin).parent / "include"


# The vector files need their instruction sets to parse; their only headers are light.
VECTOR = (
    "-mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mavx512f -mavx512bw -mavx512dq -mavx512vl"
).split()


def compiler() -> str:
    for name in ("clang++", *(f"clang++-{version}" for version in range(21, 13, -1))):
        if found := shutil.which(name):
            return found
    sys.exit("clang++ is missing: apt-get install clang, or ./run lint")


@functools.cache
def hiredis_include() -> str:
    command = [sys.executable, str(ROOT / "cmake/fetch_hiredis.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def check(sources: list[pathlib.Path], *flags: str) -> str:
    """What clang says of these files, parsed as one: most of the time goes to their headers."""
    # CUDA's own headers may be missing: the tests' emulation of them has all that the cache uses.
    cuda = ROOT / "tests/cc/cuda_emulation/include"
    systems = [tensorflow_include(), hiredis_include(), cuda]
    headers = [f"-I{ROOT}", *(f"-isystem{folder}" for folder in systems)]
    command = [compiler(), *FLAGS, *flags, *headers]
    if (ROOT / ".deps").is_dir():
        for folder in ("usr/include", "usr/include/x86_64-linux-gnu"):
            command.append(f"-idirafter{ROOT / '.deps' / folder}")
    unit = "".join(f'#include "{path}"\n' for path in sources)
    return subprocess.run(
        [*command, "-x", "c++", "-"], input=unit, capture_output=True, text=True
    ).stderr


def main() -> int:
    hiredis_include()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = []
        for floor in FLOORS:
            sources = sorted((ROOT / "cc" / floor).glob("*.cc"))
            vector = [path for path in sources if path.stem.endswith(("_avx2", "_avx512"))]
            runs.append(pool.submit(check, [path for path in sources if path not in vector]))
            runs += [pool.submit(check, [path], *VECTOR) for path in vector]
        said = "".join(run.result() for run in runs)
    print(said, end="", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
