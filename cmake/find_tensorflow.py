"""Prints where the installed TensorFlow has its headers and libraries, for CMake: one value a line.

Reads files only where it can: importing TensorFlow takes seconds.
"""

import importlib.util
import pathlib
import re
import sys

spec = importlib.util.find_spec("tensorflow")
if spec is None or spec.origin is None:
    sys.exit(f"TensorFlow is not installed for {sys.executable}; pip install 'tensorflow>=2.21,<2.22'")
folder = pathlib.Path(spec.origin).parent
version_header = (folder / "include/tensorflow/core/public/release_version.h").read_text()
version = ".".join(
    re.search(rf"#define TF_{part}_VERSION (\d+)", version_header).group(1)
    for part in ("MAJOR", "MINOR", "PATCH")
)
print(folder)
print(version)
