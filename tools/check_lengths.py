"""Checks that no source file has more than 400 lines: one file, one thing."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 400
SUFFIXES = {".cc", ".h", ".cu", ".py", ".sh", ".md"}


def main() -> int:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    status = 0
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in SUFFIXES and path.exists():
            lines = path.read_text().count("\n")
            if lines > LIMIT:
                print(f"{name}: {lines} lines, at most {LIMIT}", file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
