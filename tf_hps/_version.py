"""The one place that names the version: setup.py, CMake and the C++ side read it from here."""

__version__ = "0.1.0"
