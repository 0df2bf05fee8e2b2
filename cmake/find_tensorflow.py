"""Prints where the installed TensorFlow is and its version, for CMake: one value a line.

Asks the package's metadata: importing TensorFlow takes seconds.
"""

import importlib.metadata
import importlib.util
import pathlib
import sys

spec = importlib.util.find_spec("tensorflow")
if spec is None or spec.origin is None:
    sys.exit(f"TensorFlow is not installed for {sys.executable}")
print(pathlib.Path(spec.origin).parent)
print(importlib.metadata.version("tensorflow"))
