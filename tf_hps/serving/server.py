"""The server: a model's versions behind a gRPC port."""

from __future__ import annotations

import os
from concurrent import futures
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tf_hps.serving.metrics_page import MetricsPage
from tf_hps.serving.model_versions import ModelVersions
from tf_hps.serving.prediction_service import ModelService, PredictionService

# Calls that run at once; TensorFlow's own threads do the work.
_CALLS = 16
_GRACE_SECONDS = 30.0


class Server:
    """Serves one model over gRPC, as TensorFlow Serving's ModelServer does it, for development and tests.

    Not for production: one process with Python's lock, no batching, no TLS, no quotas. Clients are those of
    ModelServer, unchanged.

    Example:

    ```python
    with Server("models/ratings", port=0) as server:
        channel = grpc.insecure_channel(f"localhost:{server.port}")
    ```

    Args:
        base_path: The folder of version folders.
        name: The model's name in requests. Defaults to the folder's name.
        host: Where to listen. Defaults to this machine alone.
        port: 0 takes a free one, see `port`.
        rest_port: Where `GET /monitoring/prometheus/metrics` is answered. Defaults to nowhere; 0 takes a
            free one, see `rest_port`.
        poll_seconds: How often the folder is looked at for versions.
    """

    def __init__(
        self,
        base_path: str | os.PathLike[str],
        name: str = "",
        host: str = "localhost",
        port: int = 8500,
        rest_port: int | None = None,
        poll_seconds: float = 1.0,
    ):
        path = os.path.abspath(os.fspath(base_path))
        self.versions = ModelVersions(name or os.path.basename(path), path, poll_seconds)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(_CALLS, thread_name_prefix="hps-serve"),
            # Two servers of one port would share its requests; batches may be of any size.
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self.versions), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self.versions), self._server
        )
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {host}:{port}: {error}") from error
        self._metrics = None if rest_port is None else MetricsPage(host, rest_port)
        self.rest_port = None if self._metrics is None else self._metrics.port

    def start(self) -> None:
        """Loads the newest version, and then answers."""
        self.versions.start()
        self._server.start()
        if self._metrics is not None:
            self._metrics.start()

    def stop(self) -> None:
        """Ends the calls in flight, then unloads."""
        if self._metrics is not None:
            self._metrics.stop()
        self._server.stop(_GRACE_SECONDS).wait()
        self.versions.stop()

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
