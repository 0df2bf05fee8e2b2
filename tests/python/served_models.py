"""A server's folder of versions, and a client, for the tests of serving."""

import contextlib
import pathlib

import grpc
import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

import tf_hps


def constant_model(value: float, rows: int = 50, dim: int = 4) -> keras.Model:
    """ids [n] -> the sum of a row's elements, which is `value` * dim + id for every id."""
    ids = keras.Input((), dtype="int64", name="ids")
    embedding = keras.layers.Embedding(rows, dim, name="id")
    total = keras.layers.Lambda(lambda x: keras.ops.sum(x, axis=-1), name="total")(embedding(ids))
    model = keras.Model(ids, total)
    matrix = np.full((rows, dim), value, np.float32)
    matrix[:, 0] += np.arange(rows)
    embedding.set_weights([matrix])
    return model


def export_version(base: pathlib.Path, version: int, value: float, store: pathlib.Path, **options):
    """A new version under `base`, which appears there whole."""
    served = tf_hps.swap_embeddings(constant_model(value), store)
    tf_hps.export(served, base.parent / f"next-{version}", verbose=False, **options)
    base.mkdir(exist_ok=True)
    (base.parent / f"next-{version}").rename(base / str(version))


class Client:
    """Calls a server with plain tensorflow-serving-api."""

    def __init__(self, port: int, model: str):
        self.port, self.model = port, model
        self.rest_port: int | None = None
        self._channel = grpc.insecure_channel(f"localhost:{port}")
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._status = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def request(self, ids, dtype=tf.int64, **spec) -> predict_pb2.PredictRequest:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = spec.pop("model", self.model)
        if "version" in spec:
            request.model_spec.version.value = spec.pop("version")
        for field, value in spec.items():
            setattr(request.model_spec, field, value)
        request.inputs["ids"].CopyFrom(tf.make_tensor_proto(np.asarray(ids), dtype=dtype))
        return request

    def send(self, request) -> tuple[int, list[float]]:
        """The version that answered, and what."""
        response = self.stub.Predict(request, timeout=30)
        (values,) = response.outputs.values()
        return response.model_spec.version.value, tf.make_ndarray(values).tolist()

    def predict(self, ids, **options):
        return self.send(self.request(ids, **options))

    def refusal(self, request) -> tuple[grpc.StatusCode, str]:
        try:
            self.stub.Predict(request, timeout=30)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError("the request was answered")

    def states(self) -> dict[int, tuple[str, str]]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.model
        answer = self._status.GetModelStatus(request, timeout=30)
        names = get_model_status_pb2.ModelVersionStatus.State
        return {
            status.version: (names.Name(status.state), status.status.error_message)
            for status in answer.model_version_status
        }

    def close(self):
        self._channel.close()


@contextlib.contextmanager
def serving(base: pathlib.Path, **options):
    from tf_hps.serving import Server

    with Server(base, port=0, poll_seconds=0.05, **options) as server:
        client = Client(server.port, server.versions.name)
        client.rest_port = server.rest_port
        try:
            yield client
        finally:
            client.close()
