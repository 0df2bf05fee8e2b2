"""Runs every Python block of README and docs, page by page, and compares what the page says it prints."""

import doctest
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block is run, or is the output of the block before it ("..." stands for anything).
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "output", "json", "bash", "cpp", "text", "yaml"}
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
BOUNDARY = "-- block --"


def blocks(page: pathlib.Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text())


def test_blocks_have_a_language() -> None:
    for page in PAGES:
        for language, _ in blocks(page):
            assert language in LANGUAGES, f"{page.name}: ```{language}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken, broken


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(language == "python" for language, _ in blocks(page))],
    ids=lambda page: page.name,
)
def test_python_blocks_run_and_print_what_the_page_says(
    page: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    run = [(language, text) for language, text in blocks(page) if language in ("python", "output")]
    program = f"print({BOUNDARY!r})\n".join(text for language, text in run if language == "python")
    (tmp_path / "page.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    printed = done.stdout.split(BOUNDARY + "\n")
    position = -1
    for language, text in run:
        if language == "python":
            position += 1
        else:
            same = doctest.OutputChecker().check_output(
                text, printed[position], doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            )
            assert same, f"the page says\n{text}\nand it prints\n{printed[position]}"
