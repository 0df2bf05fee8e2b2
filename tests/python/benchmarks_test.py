"""The benchmarks' programs run, in a size at which their figures mean nothing."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = sorted(
    path.stem for path in (ROOT / "benchmarks").glob("*.py") if not path.stem.startswith("_")
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_benchmark_runs(name: str, tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--size", "small"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    results = json.loads((tmp_path / f"build/benchmarks/{name}.json").read_text())["results"]
    assert results
    assert all(result["ratio"] > 0 for result in results)
    assert (tmp_path / f"build/benchmarks/{name}.png").stat().st_size > 5000


def test_the_readme_explains_every_benchmark() -> None:
    readme = "".join(page.read_text() for page in (ROOT / "benchmarks").glob("*.md"))
    programs = [*PROGRAMS, *(path.stem for path in (ROOT / "benchmarks/cc").glob("*.cc"))]
    assert [name for name in programs if f"## {name}\n" not in readme] == []
