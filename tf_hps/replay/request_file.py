"""Predict requests in a file of TFRecords, as TensorFlow Serving logs them and warms up with them."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError


def read_requests(path: str, most: int) -> tuple[list[Any], int]:
    """The first PredictRequests in a file, and how many records before them are no Predict.

    Args:
        path: A file of TFRecords, each a PredictionLog or a PredictRequest.
        most: How many at most.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is not there: a file of TFRecords with requests is wanted")
    found: list[Any] = []
    others = 0
    number = 0
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(path), start=1):
            if len(found) == most:
                break
            content = record.numpy()
            request = _predict_request(content)
            if request is not None:
                found.append(request)
                continue
            if _parsed(prediction_log_pb2.PredictionLog, content) is None:
                raise ValueError(
                    f"{path}: record {number} is neither a PredictionLog nor a PredictRequest"
                )
            others += 1
    except tf.errors.DataLossError as error:
        raise ValueError(
            f"{path} is no file of TFRecords, or is damaged after record {number}: {error.message}"
        ) from error
    return found, others


def _predict_request(content: bytes) -> Any:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    log = _parsed(prediction_log_pb2.PredictionLog, content)
    if log is not None and log.HasField("predict_log"):
        return log.predict_log.request
    # Some bytes are both messages; an input without a dtype is none.
    request = _parsed(predict_pb2.PredictRequest, content)
    if request is None or not request.inputs or not all(v.dtype for v in request.inputs.values()):
        return None
    return request


def _parsed(message: Any, content: bytes) -> Any:
    try:
        return message.FromString(content)
    except DecodeError:
        return None
