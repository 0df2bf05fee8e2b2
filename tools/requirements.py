"""Prints what the package and the extras named on the command line require, one requirement a line.

pip itself would build the package to learn this; pyproject.toml says it too.
"""

import pathlib
import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

PROJECT = pathlib.Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(extras: list[str]) -> list[str]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    found = list(project["dependencies"])
    # Extras name other extras, which may do so again.
    left = list(extras)
    while left:
        for requirement in project["optional-dependencies"][left.pop(0)]:
            if requirement.startswith(project["name"] + "["):
                left.append(requirement.split("[")[1].rstrip("]"))
            else:
                found.append(requirement)
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
