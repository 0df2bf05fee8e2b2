"""A SavedModel in a session of TensorFlow's C interface: loaded and run without Python's lock, as in a server without Python."""

import ctypes
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

_Pointer = ctypes.c_void_p
_API = ctypes.CDLL(str(pathlib.Path(tf.__file__).with_name("libtensorflow_cc.so.2")))
for _name in (
    "TF_NewStatus TF_NewSessionOptions TF_NewGraph TF_LoadSessionFromSavedModel TF_GraphOperationByName "
    "TF_AllocateTensor TF_TensorData"
).split():
    getattr(_API, _name).restype = _Pointer
_API.TF_Message.restype = ctypes.c_char_p


class _Output(ctypes.Structure):
    _fields_ = (("operation", _Pointer), ("index", ctypes.c_int))


class Signature:
    """The tensors of a SavedModel's `serving_default`, by their names in it."""

    def __init__(self, path: str):
        proto = saved_model_pb2.SavedModel.FromString(
            pathlib.Path(path, "saved_model.pb").read_bytes()
        )
        signature = proto.meta_graphs[0].signature_def["serving_default"]
        self.inputs = {name: info.name for name, info in signature.inputs.items()}
        self.outputs = {name: info.name for name, info in signature.outputs.items()}


class Request:
    """A request's inputs, in TensorFlow's memory."""

    def __init__(self, signature: Signature, **inputs: np.ndarray):
        assert inputs.keys() == signature.inputs.keys()
        tensors = []
        for name in signature.inputs:
            value = np.ascontiguousarray(inputs[name])
            shape, ndim = (ctypes.c_int64 * value.ndim)(*value.shape), value.ndim
            dtype = tf.as_dtype(value.dtype).as_datatype_enum
            if value.dtype.kind == "S":
                value = _strings(value)
            size = ctypes.c_size_t(value.nbytes)
            tensor = _API.TF_AllocateTensor(dtype, shape, ndim, size)
            ctypes.memmove(_API.TF_TensorData(_Pointer(tensor)), value.ctypes.data, value.nbytes)
            tensors.append(tensor)
        self.tensors = (_Pointer * len(tensors))(*tensors)


def _strings(words: np.ndarray) -> np.ndarray:
    """TF_TStrings of words [n] of at most 22 bytes: four times the length, then the characters."""
    assert words.ndim == 1 and words.itemsize <= 22
    strings = np.zeros((len(words), 24), np.uint8)
    strings[:, 0] = 4 * np.char.str_len(words)
    strings[:, 1 : 1 + words.itemsize] = words.view(np.uint8).reshape(len(words), -1)
    return strings


class CSession:
    """A loaded SavedModel."""

    def __init__(self, path: str, signature: Signature):
        self._status = _Pointer(_API.TF_NewStatus())
        self._graph = _Pointer(_API.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        options = _Pointer(_API.TF_NewSessionOptions())
        self._session = _Pointer(
            _API.TF_LoadSessionFromSavedModel(
                options, None, path.encode(), tags, 1, self._graph, None, self._status
            )
        )
        self._check()
        _API.TF_DeleteSessionOptions(options)
        self._inputs = self._tensors(signature.inputs)
        self._outputs = self._tensors(signature.outputs)

    def run(self, request: Request) -> None:
        answers = (_Pointer * len(self._outputs))()
        _API.TF_SessionRun(
            self._session,
            None,
            *(self._inputs, request.tensors, len(self._inputs)),
            *(self._outputs, answers, len(self._outputs)),
            *(None, 0, None, self._status),
        )
        self._check()
        for answer in answers:
            _API.TF_DeleteTensor(_Pointer(answer))

    def close(self) -> None:
        _API.TF_CloseSession(self._session, self._status)
        self._check()
        _API.TF_DeleteSession(self._session, self._status)
        _API.TF_DeleteGraph(self._graph)
        _API.TF_DeleteStatus(self._status)

    def _tensors(self, names: dict[str, str]) -> ctypes.Array:
        found = []
        for name in names.values():
            operation, index = name.split(":")
            node = _API.TF_GraphOperationByName(self._graph, operation.encode())
            found.append(_Output(node, int(index)))
        return (_Output * len(found))(*found)

    def _check(self) -> None:
        if _API.TF_GetCode(self._status) != 0:
            raise RuntimeError(_API.TF_Message(self._status).decode())
