"""The quickstart, as `./run quickstart` runs it."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "examples/quickstart.py"


def quickstart(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), "--epochs", "1", "--batch", "512"]
        + [str(word) for word in arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def write_ratings(path: pathlib.Path, header: str) -> None:
    """MovieLens' form, with the trailing empty columns that some of its files have."""
    lines = [
        f"{1 + i % 40},{1 + i * 7 % 900},{0.5 * (1 + i % 10)},126075914{i % 10},,,,"
        for i in range(2000)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")


def test_the_served_model_predicts_what_the_trained_one_did(tmp_path: pathlib.Path) -> None:
    write_ratings(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp,,,,")
    done = quickstart("--ratings", tmp_path / "ratings.csv")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert "largest difference of 512: 0.0\n" in done.stdout
    before, after = re.findall(r"^SavedModel (?:before|after): +([\d.]+) MB", done.stdout, re.M)
    assert float(after) < float(before)
    # 40 users and 0; movies 1 to 900 and 0. Two lookups of 512 keys at least: the first, and the timed.
    assert re.search(r"table \S*user\S*: 41 rows", done.stdout), done.stdout
    assert re.search(r"table \S*movie\S*: 901 rows", done.stdout), done.stdout
    hits = [int(n.replace(",", "")) for n in re.findall(r"rows +([\d,]+) hits", done.stdout)]
    assert len(hits) == 4 and sum(hits) >= 4 * 512


def test_generated_ratings_do_where_none_are_given() -> None:
    done = quickstart()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert "largest difference of 512: 0.0\n" in done.stdout


def test_a_csv_without_the_columns_is_named(tmp_path: pathlib.Path) -> None:
    write_ratings(tmp_path / "ratings.csv", "user,movieId,rating,timestamp,,,,")
    done = quickstart("--ratings", tmp_path / "ratings.csv")
    assert done.returncode != 0
    assert "has no column ['userId']; its columns are ['user', 'movieId', 'rating'" in done.stderr
