"""The floor check finds what it is there for, and the tree passes it."""

import pathlib

import pytest

from tools import check_includes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def faults_of(root: pathlib.Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return list(check_includes.faults(root))


def test_the_tree_keeps_its_floors() -> None:
    assert list(check_includes.faults(ROOT)) == []


@pytest.mark.parametrize(
    ("name", "include", "said"),
    [
        (
            "cc/storage/a.h",
            '"cc/hierarchy/b.h"',
            'cc/storage/a.h: includes "cc/hierarchy/b.h"; '
            "cc/storage may include cc/common, cc/redis, cc/storage",
        ),
        (
            "cc/cache/a.h",
            '"cc/storage/b.h"',
            'cc/cache/a.h: includes "cc/storage/b.h"; cc/cache may include cc/cache, cc/common',
        ),
        (
            "cc/hierarchy/a.cc",
            '"tensorflow/core/framework/tensor.h"',
            'cc/hierarchy/a.cc: includes "tensorflow/core/framework/tensor.h"; '
            "only cc/kernels and cc/ops see TensorFlow",
        ),
        (
            "cc/common/a.cc",
            "<boost/any.hpp>",
            'cc/common/a.cc: includes "boost/any.hpp"; '
            "not among the libraries known to tools/check_includes.py",
        ),
        ("cc/attic/a.cc", "<vector>", "cc/attic/a.cc: cc/attic is no floor; known are"),
    ],
)
def test_a_wrong_include_is_named(
    tmp_path: pathlib.Path, name: str, include: str, said: str
) -> None:
    files = {"cc/hierarchy/b.h": "", "cc/storage/b.h": "", name: f"#include {include}\n"}
    (fault,) = faults_of(tmp_path, files)
    assert fault.startswith(said)


def test_a_circle_is_named(tmp_path: pathlib.Path) -> None:
    files = {
        "cc/common/a.h": '#include "cc/common/b.h"\n',
        "cc/common/b.h": '#include "cc/common/a.h"\n',
    }
    (fault,) = faults_of(tmp_path, files)
    assert fault == ("includes go in a circle: cc/common/a.h -> cc/common/b.h -> cc/common/a.h")


def test_what_a_floor_may_see_passes(tmp_path: pathlib.Path) -> None:
    files = {
        "cc/common/key.h": "#include <cstdint>\n#include <sys/mman.h>\n",
        "cc/storage/s.h": '#include "absl/status/status.h"\n#include "cc/common/key.h"\n',
        "cc/kernels/k.cc": '#include "tensorflow/core/framework/op_kernel.h"\n'
        '#include "cc/storage/s.h"\n',
    }
    assert faults_of(tmp_path, files) == []
