"""Which device a table is looked up on, where nobody says it."""

import contextlib
import functools
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import kernels

from tf_hps import _library


@functools.cache
def _has_gpu_kernels() -> bool:
    _library.load_ops()
    registered = kernels.get_registered_kernels_for_op("HpsLookup")
    return any(kernel.device_type == "GPU" for kernel in registered.kernel)


@contextlib.contextmanager
def table_device(device: str | None = None) -> Iterator[None]:
    """Handles made inside are on `device`; without one on that of an enclosing `tf.device`, else on the
    first GPU that lookups can run on, else on the CPU.

    TensorFlow itself puts a handle made eagerly on the CPU, and all its lookups follow it there. In a graph
    it places handles and lookups together, and this leaves it to it.
    """
    if device is None and tf.executing_eagerly() and not context.context().device_name:
        gpus = tf.config.list_logical_devices("GPU") if _has_gpu_kernels() else []
        device = gpus[0].name if gpus else None
    if device is None:
        yield
        return
    with tf.device(device):
        yield
