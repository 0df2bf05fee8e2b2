"""Requests that TensorFlow Serving replays before a version serves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tf_hps._serving_api import DEFAULT_SIGNATURE, require_serving_api
from tf_hps.saved_model.saved_model_proto import read_saved_model

WARMUP_FILE = "tf_serving_warmup_requests"
# What TensorFlow Serving replays at most.
_MAX_REQUESTS = 1000


def write_warmup_requests(
    saved_model: str | os.PathLike[str],
    requests: Iterable[Mapping[str, Any]],
    signature: str = DEFAULT_SIGNATURE,
) -> int:
    """Writes `assets.extra/tf_serving_warmup_requests`; how many requests there are.

    Args:
        saved_model: The SavedModel's folder.
        requests: For each request its inputs by their names in the signature, as arrays.
        signature: The signature they are for.
    """
    require_serving_api("warm-up requests")
    from tensorflow_serving.apis import prediction_log_pb2

    path = os.path.join(os.fspath(saved_model), "assets.extra", WARMUP_FILE)
    inputs = _inputs_of(saved_model, signature)
    logs = []
    for request in requests:
        if set(request) != set(inputs):
            raise ValueError(
                f"The inputs of the signature {signature!r} are {', '.join(sorted(inputs))}. Received: "
                f"{', '.join(sorted(request)) or 'none'}"
            )
        log = prediction_log_pb2.PredictionLog()
        sent = log.predict_log.request
        # The server puts its own name there.
        sent.model_spec.signature_name = signature
        for name, value in request.items():
            dtype = tf.as_dtype(inputs[name].dtype)
            sent.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
        logs.append(log)
    if len(logs) > _MAX_REQUESTS:
        raise ValueError(
            f"TensorFlow Serving replays at most {_MAX_REQUESTS:,} requests. Received: {len(logs):,}"
        )
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return len(logs)


def _inputs_of(saved_model: str | os.PathLike[str], signature: str) -> Mapping[str, Any]:
    for meta_graph in read_saved_model(saved_model).meta_graphs:
        if signature in meta_graph.signature_def:
            return dict(meta_graph.signature_def[signature].inputs)
    raise ValueError(f"{saved_model} has no signature {signature!r}")
