"""The requests that a SavedModel brings along for a server's warm-up."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from tf_hps._serving_api import signature_of
from tf_hps.saved_model.rewriting.requests import MadeRequest

_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
_MOST = 100


def warmup_requests(meta_graph: Any, saved_model: str) -> list[MadeRequest]:
    """Those to predict, at most 100. None where TensorFlow Serving's protocol is not installed."""
    path = os.path.join(saved_model, _FILE)
    if not os.path.isfile(path):
        return []
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return []
    found = []
    for number, record in enumerate(tf.data.TFRecordDataset(path).take(_MOST)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        if not log.HasField("predict_log"):
            continue
        request = log.predict_log.request
        name = signature_of(request)
        signature = meta_graph.signature_def.get(name)
        if signature is None:
            continue
        inputs = {
            signature.inputs[key].name: tf.make_ndarray(value)
            for key, value in request.inputs.items()
            if key in signature.inputs
        }
        found.append(MadeRequest(f"warm-up request {number} of {name}", (name, inputs)))
    return found
