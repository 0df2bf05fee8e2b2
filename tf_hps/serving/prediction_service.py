"""The services of TensorFlow Serving that this server has, on the stubs of tensorflow-serving-api."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tf_hps.serving.errors import RequestError, invalid, not_found
from tf_hps.serving.model_versions import ModelVersions
from tf_hps.serving.servable import Servable

_SIGNATURES = "signature_def"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_Answer = TypeVar("_Answer")


def _answered(context: grpc.ServicerContext, answer: Callable[[], _Answer]) -> _Answer:
    """What `answer` returns; errors become statuses. `context.abort` raises, to end the call."""
    try:
        return answer()
    except RequestError as error:
        code, message = error.code, str(error)
    except tf.errors.OpError as error:
        code, message = _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message
    except MemoryError:
        code, message = grpc.StatusCode.RESOURCE_EXHAUSTED, "out of memory"
    context.abort(code, message)
    raise AssertionError("abort returned")


@contextlib.contextmanager
def _serving(versions: ModelVersions, model_spec: Any) -> Iterator[Servable]:
    _check_name(versions, model_spec)
    if model_spec.WhichOneof("version_choice") == "version_label":
        raise invalid(
            f'Versions have no labels here. Received: version_label "{model_spec.version_label}"'
        )
    number = model_spec.version.value if model_spec.HasField("version") else None
    with versions.serving(number) as servable:
        yield servable


def _check_name(versions: ModelVersions, model_spec: Any) -> None:
    if not model_spec.name:
        raise invalid("The request names no model: model_spec.name is empty")
    if model_spec.name != versions.name:
        raise not_found(f'Served is model "{versions.name}". Received: "{model_spec.name}"')


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other calls are UNIMPLEMENTED."""

    def __init__(self, versions: ModelVersions):
        self._versions = versions

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        def answer() -> predict_pb2.PredictResponse:
            with _serving(self._versions, request.model_spec) as servable:
                return servable.predict(request)

        return _answered(context, answer)

    def GetModelMetadata(
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        def answer() -> get_model_metadata_pb2.GetModelMetadataResponse:
            if list(request.metadata_field) != [_SIGNATURES]:
                raise invalid(
                    f'metadata_field is ["{_SIGNATURES}"]. Received: {list(request.metadata_field)}'
                )
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            with _serving(self._versions, request.model_spec) as servable:
                servable.describe(response.model_spec)
                signatures = get_model_metadata_pb2.SignatureDefMap()
                for name, signature in servable.signatures.items():
                    signatures.signature_def[name].CopyFrom(signature)
            response.metadata[_SIGNATURES].Pack(signatures)
            return response

        return _answered(context, answer)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, versions: ModelVersions):
        self._versions = versions

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        def answer() -> get_model_status_pb2.GetModelStatusResponse:
            spec = request.model_spec
            _check_name(self._versions, spec)
            states = self._versions.states()
            if spec.HasField("version"):
                number = spec.version.value
                if number not in states:
                    raise not_found(f'Model "{spec.name}" has no version {number}')
                states = {number: states[number]}
            response = get_model_status_pb2.GetModelStatusResponse()
            # The newest first, as TensorFlow Serving has them.
            for number, state in sorted(states.items(), reverse=True):
                status = response.model_version_status.add(version=number)
                status.state = get_model_status_pb2.ModelVersionStatus.State.Value(state.state)
                if state.error is not None:
                    status.status.error_code = getattr(
                        state.error, "error_code", grpc.StatusCode.UNKNOWN.value[0]
                    )
                    status.status.error_message = str(state.error)
            return response

        return _answered(context, answer)
