"""A table of embedding rows that a model looks up in, and that lives outside it."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_hps import _library, _placement, ops
from tf_hps.config import Config
from tf_hps.store import owners

_DTYPES = ("float32", "float16", "bfloat16")
# Names of handles in this process. They never tell which table it is (tf.saved_model.load renames
# them); they only have to differ.
_numbers = itertools.count()


class Table(tf.saved_model.experimental.TrackableResource):
    """One table of a deployment, found through its tiers: memory, then RocksDB.

    A table belongs to the process: all `Table`s of equal deployment, name and generation, those inside
    loaded SavedModels too, share rows and memory, and the last one to go gives the memory back. Models
    that hold a `Table` in an attribute export and save it: the configuration becomes an asset, the rows
    stay in their stores.

    Example:

    >>> import tf_hps
    >>> config = tf_hps.Config(
    ...     deployment="doc",
    ...     memory=tf_hps.MemoryConfig(),
    ...     tables={"movie_id": tf_hps.TableConfig(embedding_dim=2)},
    ... )
    >>> table = tf_hps.Table("movie_id", config)
    >>> table.insert([7, -1], [[1.0, 2.0], [3.0, 4.0]])
    >>> tf_hps.embedding_lookup(table, [[7], [8]]).numpy().tolist()
    [[[1.0, 2.0]], [[0.0, 0.0]]]
    >>> len(table)
    2

    Args:
        name: The table's name in the configuration.
        config: A `Config`, or the path of an `hps.json`.
        dtype: What lookups return: "float32" (the default), "float16" or "bfloat16".
        device: Where lookups run, as `"/GPU:1"`. Default: the enclosing `tf.device`; else the first GPU, if
            there is one and tf_hps was built with CUDA; else the CPU. One handle serves one device: for two
            GPUs make two, they share the rows on the host.
    """

    def __init__(
        self,
        name: str,
        config: Config | str | os.PathLike[str],
        dtype: str | tf.DType = "float32",
        device: str | None = None,
    ) -> None:
        self._dtype = tf.as_dtype(dtype)
        if self._dtype.name not in _DTYPES:
            raise ValueError(f"`dtype` is one of {_DTYPES}. Received: dtype={dtype!r}")
        path = config.path() if isinstance(config, Config) else config
        self._config_path = os.path.abspath(os.fspath(path))
        # First what can fail: a resource that exists works.
        core = _library.load_core()
        owners.check_not_written_offline(self._config_path, core)
        self._table = core.Table(self._config_path, name)
        self._spec: dict[str, Any] = self._table.spec
        self._shared_name = f"tf_hps/{self.deployment}/{name}/{next(_numbers)}"
        # A table made while a function is traced belongs outside of it.
        with tf.init_scope():
            super().__init__()
            # Tracked as an Asset: a plain path would be exported with this machine's folder in it.
            # SavedModels write an asset of one path once, however many tables name it.
            self._asset = self._track_trackable(tf.saved_model.Asset(self._config_path), "config")
            # The handle is made here, on the device; an export names none.
            with _placement.table_device(device):
                initializer = self._initialize()
            if not tf.executing_eagerly():
                tf.compat.v1.add_to_collection(
                    tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, initializer
                )

    def _create_resource(self) -> tf.Tensor:
        return ops.table_handle(shared_name=self._shared_name)

    def _initialize(self) -> tf.Operation | None:
        return ops.table_initialize(self.resource_handle, self._asset.asset_path, self.name)

    def _destroy_resource(self) -> None:
        tf.raw_ops.DestroyResourceOp(resource=self.resource_handle, ignore_lookup_error=True)

    @property
    def name(self) -> str:
        return self._spec["name"]

    @property
    def deployment(self) -> str:
        return self._spec["deployment"]

    @property
    def generation(self) -> str:
        """What the table holds: a table of equal generation has the same rows, online updates aside."""
        return self._spec["generation"]

    @property
    def embedding_dim(self) -> int:
        return self._spec["embedding_dim"]

    @property
    def row_format(self) -> str:
        """How rows are stored: "float32", "float16", "bfloat16" or "int8"."""
        return self._spec["row_format"]

    @property
    def dtype(self) -> tf.DType:
        """What lookups return."""
        return self._dtype

    @property
    def config_path(self) -> str:
        return self._config_path

    def insert(self, keys: Any, rows: Any) -> tf.Operation | None:
        """Inserts rows, or replaces those that stand under their keys, in every tier.

        With equal keys the last one counts. In a graph, returns the operation.

        Args:
            keys: Integers [n]; every int64 is a legal key.
            rows: [n, embedding_dim]; converted to the table's `row_format`.
        """
        rows = tf.convert_to_tensor(rows)
        if rows.dtype.name not in _DTYPES:
            rows = tf.cast(rows, tf.float32)
        return ops.table_insert(self.resource_handle, _to_keys(keys), rows)

    def erase(self, keys: Any) -> tf.Operation | None:
        """Erases rows from every tier; their keys get the default row from then on.

        Args:
            keys: Integers [n]; unknown ones are no error.
        """
        return ops.table_erase(self.resource_handle, _to_keys(keys))

    def stats(self) -> dict[str, Any]:
        """What the table holds and has counted, per tier."""
        return self._table.stats()

    def hot_keys(self, count: int) -> NDArray[np.int64]:
        """Up to `count` of the keys that are asked for most, the hottest first.

        A memory tier without a bound does not count what is asked for: these are then any of its keys.
        """
        return self._table.hot_keys(count)

    def inspect(self, key: int) -> dict[str, Any]:
        """What every tier has under `key`, for the search for a wrong row.

        Returns:
            `generation`, `tiers` in the order they are asked, each with its `kind`, the `state` of the key
            ("stored", "absent": known to be nowhere below, "unknown", "failed") and the `row` that is
            stored; for a table that follows a stream, `position` and `time_us` of its last commit.
        """
        return self._table.inspect(key)

    def __len__(self) -> int:
        """The number of rows; see `rows_exact`."""
        return self.stats()["rows"]

    def __bool__(self) -> bool:
        return True  # an empty table is a table

    @property
    def rows_exact(self) -> bool:
        """Whether `len` is exact: in memory and after a load it is, after updates on disk an estimate."""
        return self.stats()["rows_exact"]

    def scan(
        self, batch_size: int = 65536
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """All rows, in batches of keys [n] and float32 rows [n, embedding_dim].

        Rows that are inserted or erased meanwhile may be seen or not; one that is erased and inserted again
        may be seen twice.
        """
        core = _library.load_core()
        for keys, rows in self.scan_raw(batch_size):
            yield keys, core.decode_rows(self.row_format, self.embedding_dim, rows)

    def scan_raw(
        self, batch_size: int = 65536
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """All rows as stored: keys [n] and bytes [n, row_bytes], see docs/formats.md."""
        return self._table.scan(batch_size=batch_size)

    def refresh(self) -> None:
        """Reads the rows that memory and GPUs hold from the lowest tier again, for a store that was changed
        from outside. Lookups and updates go on meanwhile."""
        self._table.refresh()

    def wait_for_preload(self) -> None:
        """Waits until memory is filled from the store; lookups need not wait for it."""
        self._table.wait_for_preload()

    def wait_until(self, position: str, timeout: float = 60.0) -> None:
        """Waits until lookups see all commits of the table's stream up to `position`.

        Args:
            position: What `Publisher.commit` returned.
            timeout: Seconds after which it gives up, with a `TimeoutError` (`tf_hps.errors.DeadlineExceededError`) that says how far it came.
        """
        self._table.wait_until(position, timeout)

    def __repr__(self) -> str:
        if not hasattr(self, "_spec"):
            return "<tf_hps.Table that could not be opened>"
        return (
            f"<tf_hps.Table {self.name!r} of deployment {self.deployment!r}, generation "
            f"{self.generation!r}, embedding_dim {self.embedding_dim}, {self.row_format}>"
        )


def _to_keys(keys: Any) -> tf.Tensor:
    if not tf.is_tensor(keys):
        keys = np.asarray(keys)
        if keys.size == 0:
            keys = keys.astype(np.int64)
    keys = tf.convert_to_tensor(keys)
    if not keys.dtype.is_integer or keys.dtype == tf.uint64:
        raise TypeError(f"`keys` are integers of at most 64 bits. Received: {keys.dtype.name}")
    return tf.cast(keys, tf.int64)
