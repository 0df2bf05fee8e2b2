"""A request's tensors, checked against the signature before the model sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_hps.serving.errors import invalid

# What a protobuf message can carry. A tensor of one repeated value may claim any shape in a few bytes.
_MAX_BYTES = 2 << 30


def read_inputs(inputs: Mapping[str, Any], signature: Any) -> dict[str, np.ndarray]:
    """The values of a PredictRequest's inputs, by their names in the signature.

    Args:
        inputs: TensorProtos by name.
        signature: A SignatureDef.
    """
    missing = sorted(set(signature.inputs) - set(inputs) - set(signature.defaults))
    unknown = sorted(set(inputs) - set(signature.inputs))
    if missing or unknown:
        told = [f"missing: {', '.join(missing)}"] if missing else []
        told += [f"unknown: {', '.join(unknown)}"] if unknown else []
        raise invalid(
            f"The signature's inputs are {', '.join(sorted(signature.inputs))}; {'; '.join(told)}"
        )
    given = {**{name: signature.defaults[name] for name in signature.defaults}, **inputs}
    return {name: _read(name, given[name], info) for name, info in signature.inputs.items()}


def _read(name: str, proto: Any, info: Any) -> np.ndarray:
    if proto.dtype != info.dtype:
        raise invalid(
            f'Input "{name}" is {_dtype_name(info.dtype)}. Received: {_dtype_name(proto.dtype)}'
        )
    wanted = tf.TensorShape(info.tensor_shape)
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if min(sizes, default=0) < 0 or proto.tensor_shape.unknown_rank:
        raise invalid(f'Input "{name}": a tensor has a whole shape. Received: {sizes}')
    if not wanted.is_compatible_with(sizes):
        raise invalid(f'Input "{name}" has shape {wanted}. Received: {tuple(sizes)}')
    dtype = tf.as_dtype(info.dtype)
    if math.prod(sizes) * dtype.size > _MAX_BYTES:
        raise invalid(
            f'Input "{name}" may have {_MAX_BYTES:,} bytes. Received: shape {tuple(sizes)}'
        )
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError) as error:
        raise invalid(f'Input "{name}": its values do not fill its shape: {error}') from error


def _dtype_name(dtype: int) -> str:
    try:
        return tf.as_dtype(dtype).name
    except TypeError:
        return f"dtype {dtype}"
