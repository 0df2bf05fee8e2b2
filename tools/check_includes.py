"""Checks the floors of docs/architecture.md: who may include whom, and what from outside.

No include goes up, the three wings do not know each other, there is no circle, and only the kernels and
op definitions see TensorFlow.
"""

import pathlib
import re
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Folder under cc/ -> folders it may include beside itself.
MAY_INCLUDE = {
    "common": set(),
    "redis": {"common"},
    "cache": {"common"},
    "storage": {"common", "redis"},
    "update": {"common", "redis"},
    "hierarchy": {"common", "cache", "storage", "update"},
    "kernels": {"common", "cache", "storage", "update", "hierarchy"},
    "ops": set(),
    "bindings": {"common", "cache", "storage", "update", "hierarchy", "kernels"},
}
SEES_TENSORFLOW = {"kernels", "ops"}
# Outside of ours: what any floor may include with quotes or from a folder. A header without a folder in
# angle brackets is the standard library, the C library or a CPU's intrinsics.
BELOW = re.compile(
    r"^(absl/|nlohmann/json\.hpp$|rocksdb/c\.h$|hiredis/|openssl/|sys/|linux/|bits/)"
)
TENSORFLOW = re.compile(r"^(tensorflow/|tsl/|xla/|unsupported/Eigen/|Eigen/)")
# Macros that name versions, for tf_hps_build_info.
VERSIONS = {"rocksdb/version.h", "tensorflow/core/public/release_version.h"}
# The Python modules are guests in cc/bindings: _core stands beside the op library and knows its C door only,
# _rocksdb reads and writes files without either.
PYBIND = re.compile(r"^(pybind11/|Python\.h$)")

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def sources(root: pathlib.Path) -> list[pathlib.Path]:
    folders = [root / "cc"]
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".cc", ".h", ".cu")
    )


def includes(path: pathlib.Path) -> list[tuple[str, str]]:
    return INCLUDE.findall(path.read_text())


def faults(root: pathlib.Path) -> Iterator[str]:
    graph: dict[str, list[str]] = {}
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        floor = name.split("/")[1]
        if floor not in MAY_INCLUDE:
            yield f"{name}: cc/{floor} is no floor; known are {', '.join(sorted(MAY_INCLUDE))}"
            continue
        graph[name] = []
        for bracket, target in includes(path):
            if target.startswith("cc/"):
                graph[name].append(target)
                yield from faults_inside(root, name, floor, target)
            elif (
                bracket == '"' or "/" in target or TENSORFLOW.match(target) or PYBIND.match(target)
            ):
                yield from faults_outside(name, floor, target)
    for circle in circles(graph):
        yield "includes go in a circle: " + " -> ".join(circle)


def faults_inside(root: pathlib.Path, name: str, floor: str, target: str) -> Iterator[str]:
    if not (root / target).exists():
        yield f'{name}: includes "{target}", which does not exist'
    there = target.split("/")[1]
    if there != floor and there not in MAY_INCLUDE[floor]:
        allowed = ", ".join(f"cc/{known}" for known in sorted({floor} | MAY_INCLUDE[floor]))
        yield f'{name}: includes "{target}"; cc/{floor} may include {allowed}'
    if target.endswith(".cc"):
        yield f'{name}: includes "{target}"; include headers'


def faults_outside(name: str, floor: str, target: str) -> Iterator[str]:
    if target in VERSIONS and floor == "bindings":
        return
    if TENSORFLOW.match(target):
        if floor not in SEES_TENSORFLOW:
            yield f'{name}: includes "{target}"; only cc/kernels and cc/ops see TensorFlow'
    elif PYBIND.match(target):
        if floor != "bindings":
            yield f'{name}: includes "{target}"; only cc/bindings sees Python'
    elif not BELOW.match(target):
        yield f'{name}: includes "{target}"; not among the libraries known to tools/check_includes.py'


def circles(graph: dict[str, list[str]]) -> Iterator[list[str]]:
    done: set[str] = set()

    def walk(node: str, trail: list[str]) -> Iterator[list[str]]:
        if node in trail:
            yield [*trail[trail.index(node) :], node]
        elif node not in done:
            for target in graph.get(node, []):
                yield from walk(target, [*trail, node])
            done.add(node)

    for node in graph:
        yield from walk(node, [])


def main() -> int:
    found = list(faults(ROOT))
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
