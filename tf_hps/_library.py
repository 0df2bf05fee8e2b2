"""Loads the op library and the bindings that stand beside it, once, in the order that works."""

import functools
import importlib
import importlib.util
import pathlib
from types import ModuleType

from tf_hps._version import __version__

# absl's inline namespace carries its release: every other minor of TensorFlow fails at dlopen, with a
# mangled symbol for a message.
_TENSORFLOW = "2.21"
_PATH = pathlib.Path(__file__).with_name("_tf_hps_ops.so")
_BUILD = "Build it: `./run build` in a checkout, or `pip install .`"


@functools.cache
def load_ops() -> ModuleType:
    """The generated wrappers of the ops."""
    import tensorflow as tf

    if not tf.__version__.startswith(f"{_TENSORFLOW}."):
        raise ImportError(
            f"tf_hps {__version__} works with TensorFlow {_TENSORFLOW}, and this is TensorFlow "
            f"{tf.__version__}. Install the one it was built for: "
            f"pip install 'tensorflow>={_TENSORFLOW},<2.{int(_TENSORFLOW[2:]) + 1}'"
        )
    if not _PATH.exists():
        raise ImportError(f"tf_hps has no op library at {_PATH}. {_BUILD}")
    return tf.load_op_library(str(_PATH))


@functools.cache
def load_core() -> ModuleType:
    """`tf_hps._core`, which sees the process's tables.

    It links the op library: imported before `tf.load_op_library`, it would register the ops, and the
    generated wrappers would be missing.
    """
    load_ops()
    return importlib.import_module("tf_hps._core")


@functools.cache
def load_rocksdb() -> ModuleType:
    """`tf_hps._rocksdb`, which reads and writes RocksDB's files without TensorFlow and the op library."""
    if importlib.util.find_spec("tf_hps._rocksdb") is None:
        raise ImportError(f"tf_hps has no tf_hps._rocksdb beside {__file__}. {_BUILD}")
    return importlib.import_module("tf_hps._rocksdb")


def check_keras_backend() -> None:
    """Raises ImportError where Keras computes with something else than TensorFlow."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"tf_hps looks rows up with a TensorFlow op, and Keras' backend here is {backend!r}. Set "
            'KERAS_BACKEND=tensorflow in the environment (or "backend": "tensorflow" in '
            "~/.keras/keras.json) before Keras is imported"
        )
