"""Settings of all Python tests."""

import os

# Before TensorFlow is imported: it logs at import, and a test's output should be the test's.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
