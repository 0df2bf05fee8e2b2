"""One loaded version of a model."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tf_hps import _library
from tf_hps._serving_api import signature_of
from tf_hps.serving.errors import invalid
from tf_hps.serving.request_tensors import read_inputs

_WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
# As TensorFlow Serving: more records than this are refused, not replayed.
_MAX_WARMUP_RECORDS = 1000


class Servable:
    """A SavedModel in a session, loaded and run as TensorFlow Serving does it. Thread-safe.

    Args:
        name: The model's name, for answers.
        version: Its number.
        path: The SavedModel's folder.
    """

    def __init__(self, name: str, version: int, path: str):
        _library.load_ops()
        self.name = name
        self.version = version
        self.path = path
        self._calls = 0
        self._idle = threading.Condition()
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], path)
        except BaseException:
            self._session.close()
            raise
        self.signatures: dict[str, Any] = dict(meta_graph.signature_def)

    def warm_up(self) -> int:
        """Replays the requests that the SavedModel carries; how many they were."""
        path = os.path.join(self.path, _WARMUP_FILE)
        if not os.path.exists(path):
            return 0
        count = 0
        for count, record in enumerate(tf.compat.v1.io.tf_record_iterator(path), start=1):
            if count > _MAX_WARMUP_RECORDS:
                raise ValueError(f"{path} has more than {_MAX_WARMUP_RECORDS:,} requests")
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.HasField("predict_log"):
                self.predict(log.predict_log.request)
        return count

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answers a request."""
        name, fetches, feeds = self._checked(request)
        values = self._session.run(fetches, feeds)
        response = predict_pb2.PredictResponse()
        self.describe(response.model_spec, name)
        for key, value in values.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response

    def repeated(self, request: predict_pb2.PredictRequest) -> Callable[[], dict[str, np.ndarray]]:
        """A call that runs the model on a request's inputs, without what a server does around it."""
        _, fetches, feeds = self._checked(request)
        run = self._session.make_callable(list(fetches.values()), list(feeds))
        names, inputs = list(fetches), list(feeds.values())
        return lambda: dict(zip(names, run(*inputs), strict=True))

    def _checked(
        self, request: predict_pb2.PredictRequest
    ) -> tuple[str, dict[str, str], dict[str, np.ndarray]]:
        """The signature's name, its outputs' tensors and its inputs' values by their tensors."""
        name = signature_of(request)
        signature = self.signatures.get(name)
        if signature is None:
            known = ", ".join(sorted(self.signatures)) or "none"
            raise invalid(f'Model "{self.name}" has no signature "{name}"; it has: {known}')
        feeds = read_inputs(request.inputs, signature)
        wanted = list(request.output_filter) or list(signature.outputs)
        unknown = sorted(set(wanted) - set(signature.outputs))
        if unknown:
            raise invalid(
                f"The signature's outputs are {', '.join(sorted(signature.outputs))}. Received: "
                f"output_filter {', '.join(unknown)}"
            )
        fetches = {key: signature.outputs[key].name for key in wanted}
        return name, fetches, {signature.inputs[key].name: value for key, value in feeds.items()}

    def describe(self, model_spec: Any, signature_name: str = "") -> None:
        model_spec.name = self.name
        model_spec.version.value = self.version
        model_spec.signature_name = signature_name

    def begin_call(self) -> None:
        with self._idle:
            self._calls += 1

    def end_call(self) -> None:
        with self._idle:
            self._calls -= 1
            self._idle.notify_all()

    def wait_until_idle(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0)

    def close(self) -> None:
        """Lets go of the graph and its tables, when nobody calls any more."""
        self._session.close()
        del self._session
