"""Embedding tables outside the model: TensorFlow lookups over tiers of memory and disk.

Importing this package is cheap and loads neither TensorFlow nor the op library: what needs them is
imported when it is first used, and offline writing (`tf_hps.store`) needs neither.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tf_hps._version import __version__ as __version__

if TYPE_CHECKING:
    from tf_hps.config import Config as Config
    from tf_hps.config import GpuCacheConfig as GpuCacheConfig
    from tf_hps.config import MemoryConfig as MemoryConfig
    from tf_hps.config import RedisConfig as RedisConfig
    from tf_hps.config import RocksdbConfig as RocksdbConfig
    from tf_hps.config import TableConfig as TableConfig
    from tf_hps.config import UpdatesConfig as UpdatesConfig
    from tf_hps.embedding_bags import embedding_lookup_sparse as embedding_lookup_sparse
    from tf_hps.embedding_bags import safe_embedding_lookup_sparse as safe_embedding_lookup_sparse
    from tf_hps.embedding_ops import embedding_lookup as embedding_lookup
    from tf_hps.embedding_ops import embedding_lookup_group as embedding_lookup_group
    from tf_hps.embedding_ops import (
        embedding_lookup_until_deadline as embedding_lookup_until_deadline,
    )
    from tf_hps.publish import Publisher as Publisher
    from tf_hps.row_keys import word_keys as word_keys
    from tf_hps.saved_model import export as export
    from tf_hps.saved_model import load as load
    from tf_hps.swap import restore_embeddings as restore_embeddings
    from tf_hps.swap import swap_embeddings as swap_embeddings
    from tf_hps.swap import swap_report as swap_report
    from tf_hps.table import Table as Table

_ATTRIBUTES = {
    "Config": "tf_hps.config",
    "GpuCacheConfig": "tf_hps.config",
    "MemoryConfig": "tf_hps.config",
    "RedisConfig": "tf_hps.config",
    "RocksdbConfig": "tf_hps.config",
    "TableConfig": "tf_hps.config",
    "UpdatesConfig": "tf_hps.config",
    "Publisher": "tf_hps.publish",
    "Table": "tf_hps.table",
    "embedding_lookup": "tf_hps.embedding_ops",
    "embedding_lookup_group": "tf_hps.embedding_ops",
    "embedding_lookup_until_deadline": "tf_hps.embedding_ops",
    "embedding_lookup_sparse": "tf_hps.embedding_bags",
    "safe_embedding_lookup_sparse": "tf_hps.embedding_bags",
    "export": "tf_hps.saved_model",
    "load": "tf_hps.saved_model",
    "restore_embeddings": "tf_hps.swap",
    "swap_embeddings": "tf_hps.swap",
    "swap_report": "tf_hps.swap",
    "word_keys": "tf_hps.row_keys",
}
_MODULES = ("config", "errors", "layers", "ops", "publish", "saved_model", "store", "swap")

__all__ = ["__version__", *_ATTRIBUTES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        value = getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"tf_hps.{name}")
    else:
        raise AttributeError(f"module 'tf_hps' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
