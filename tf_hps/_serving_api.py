"""The extra that brings TensorFlow Serving's protocol buffers."""

import importlib.util


def require_serving_api(what: str) -> None:
    """Raises ImportError with the cure where `tensorflow-serving-api` is not installed."""
    if importlib.util.find_spec("tensorflow_serving") is None:
        raise ImportError(f"{what}: needs tensorflow-serving-api, pip install 'tf_hps[serving]'")
