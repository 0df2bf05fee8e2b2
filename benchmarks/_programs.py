"""The benchmarks in C++: run, and their rows made a table, a JSON file and a plot."""

import pathlib
import subprocess
from collections.abc import Mapping, Sequence

import _axes
import _measure

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "build/release/benchmarks"


def report(
    name: str,
    description: str | None,
    ours: str,
    arguments: Mapping[str, Sequence[object]],
    meaning: str = _measure.MEANING,
) -> None:
    """Runs build/release/benchmarks/NAME, which prints a header and rows, separated by tabs.

    Lines that begin with "# " are remarks. Columns with decimals are figures, the others say of what.

    Args:
        arguments: What the program is called with, for a size of run.
    """
    size = _axes.size(description)
    program = FOLDER / name
    if not program.exists():
        raise SystemExit(f"{program} is not built: ./run bench builds it")
    result = _measure.Report(name, ours, meaning)
    header: list[str] = []
    command = [str(program), *map(str, arguments[size])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            cells = line.rstrip("\n").split("\t")
            if line.startswith("# "):
                print(line.rstrip("\n"))
            elif not header:
                header = cells
            else:
                row = dict(zip(header, map(_value, cells), strict=True))
                result.add_row(row)
    if running.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
    result.finish()


def _value(cell: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell
