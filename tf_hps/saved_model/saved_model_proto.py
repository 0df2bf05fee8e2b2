"""The file that a SavedModel's graphs are in."""

import os

from tensorflow.core.protobuf import saved_model_pb2


def read_saved_model(folder: str | os.PathLike[str]) -> saved_model_pb2.SavedModel:
    with open(os.path.join(os.fspath(folder), "saved_model.pb"), "rb") as file:
        return saved_model_pb2.SavedModel.FromString(file.read())
