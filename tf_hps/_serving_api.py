"""The extra that brings TensorFlow Serving's protocol buffers."""

import importlib.util
from typing import Any

DEFAULT_SIGNATURE = "serving_default"


def require_serving_api(what: str) -> None:
    """Raises ImportError with the cure where `tensorflow-serving-api` is not installed."""
    if importlib.util.find_spec("tensorflow_serving") is None:
        raise ImportError(f"{what}: needs tensorflow-serving-api, pip install 'tf_hps[serving]'")


def signature_of(request: Any) -> str:
    """The signature that a request is for."""
    return str(request.model_spec.signature_name) or DEFAULT_SIGNATURE
