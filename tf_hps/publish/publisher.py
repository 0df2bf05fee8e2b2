"""Sends a trainer's new rows to servers."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_hps.closing import Closing
from tf_hps.publish.frame import Frame
from tf_hps.publish.row_hashes import RowHashes
from tf_hps.publish.sinks import open_sink
from tf_hps.store.sources import ArraySource, RowSource

# Of rows in a frame: what a broker takes as one message, and a server has in memory twice.
_FRAME_BYTES = 1 << 20


class Publisher(Closing):
    """Publishes rows of one generation of a deployment's tables.

    What `publish` and `erase` get is kept until `commit`, which makes all of it visible to servers at
    once; they apply it in that order, so the last of several rows for a key counts. Rows travel as
    float32 and are encoded by each server into its table's row format. Not thread-safe.

    Args:
        url: where updates go: a folder that servers read, as a path or `file:///folder`, or a stream in
            Redis, `redis://HOST:PORT/DATABASE`, `rediss://` for TLS.
        deployment: the deployment whose tables are meant.
        generation: the generation the rows belong to, one for all tables or one for each, as
            `Table.generation` of the export that is served tells. Servers skip what is published for
            another one: rows fit the dense part they were trained with, no other.
        options: of a stream in Redis, see `tf_hps.publish.RedisStreamOptions`.

    Example:

    >>> import numpy as np, tempfile
    >>> from tf_hps.publish import Publisher
    >>> with Publisher(tempfile.mkdtemp(), "movies", {"movie_id": "9f2c"}) as publisher:
    ...     publisher.publish("movie_id", [10, 11], np.ones((2, 4)))
    ...     publisher.erase("movie_id", [12])
    ...     print(publisher.commit())
    00000000000000000001.hpsu
    """

    def __init__(
        self,
        url: str,
        deployment: str,
        generation: str | Mapping[str, str],
        options: Mapping[str, Any] | None = None,
    ):
        self._sink = open_sink(url, options or {})
        self._deployment = deployment
        self._generation = generation if isinstance(generation, str) else dict(generation)
        self._id = uuid.uuid4().hex
        self._first = 0  # frame that is not committed
        self._sequence = 0
        self._commits = 0
        self._position = ""
        self._pending: list[bytes] = []
        self._hashes: dict[str, RowHashes] = {}

    @property
    def id(self) -> str:
        """32 hexadecimal digits that name this publisher in every frame, new for each object."""
        return self._id

    @property
    def position(self) -> str:
        """Of the last commit, as `commit` returned it and `Table.wait_until` takes it; empty before."""
        return self._position

    @property
    def dropped(self) -> int:
        """Commits that a stream in Redis dropped although a server had not read them, to stay below
        `max_bytes`. Each was logged as a warning."""
        return self._sink.dropped

    def publish(self, table: str, keys: Any, rows: Any) -> None:
        """New rows for keys, which may have some already.

        Args:
            table: the table's name.
            keys: integers of shape [n].
            rows: floats of shape [n, embedding_dim], finite.

        Raises:
            ValueError: shapes do not fit, a row has a NaN or an infinity, or the table has no
                generation here. Nothing of the call is kept.
        """
        keys = _int64(table, keys)
        array: npt.NDArray[np.float32] = np.asarray(rows, np.float32)
        if array.ndim != 2 or len(array) != len(keys) or array.shape[1] < 1:
            raise ValueError(
                f"table {table!r}: rows have shape [{len(keys)}, embedding_dim], one for each key. "
                f"Received: rows of shape {array.shape}"
            )
        finite = np.isfinite(array).all(axis=1)
        if not finite.all():
            first = int(np.argmin(finite))
            raise ValueError(
                f"table {table!r}: {int((~finite).sum())} of {len(keys)} rows have a NaN or an "
                f"infinity, first the row of key {keys[first]}"
            )
        step = max(1, _FRAME_BYTES // (8 + 4 * array.shape[1]))
        self._generation_of(table)
        for begin in range(0, len(keys), step):
            part = array[begin : begin + step]
            about = {"embedding_dim": part.shape[1], "row_format": "float32"}
            self._add("rows", table, keys[begin : begin + step], part, about)

    def erase(self, table: str, keys: Any) -> None:
        """Takes rows away: their keys get the table's default row again."""
        keys = _int64(table, keys)
        step = _FRAME_BYTES // 8
        self._generation_of(table)
        for begin in range(0, len(keys), step):
            self._add("erase", table, keys[begin : begin + step], None, {})

    def publish_changed(self, table: str, source: Any) -> int:
        """Publishes the rows whose bytes are others than at the last call, or `watch`.

        An optimizer changes other rows than those of the batch: Adam those with momentum left, weight
        decay all of them. So all rows are looked at, by 8 bytes kept for each.

        Args:
            table: the table's name.
            source: a built Keras Embedding, a variable or an array [rows, embedding_dim], keys 0 to
                rows - 1, or a `tf_hps.store.RowSource` of ascending keys. Not stored as int8.

        Returns:
            How many rows were published: all of them, when nothing is known of the table yet.
        """
        published = 0
        hashes = self._hashes.setdefault(table, RowHashes())
        try:
            for keys, rows in _float_rows(table, source):
                changed = hashes.changed(keys, rows)
                if changed.any():
                    self.publish(table, keys[changed], rows[changed])
                    published += int(changed.sum())
        except BaseException:
            # Some hashes are of rows that were not published: better all of them again than one never.
            del self._hashes[table]
            raise
        return published

    def watch(self, table: str, source: Any) -> None:
        """Takes the rows as they are for what servers have: those of the export they load."""
        hashes = self._hashes[table] = RowHashes()
        for keys, rows in _float_rows(table, source):
            hashes.changed(keys, rows)

    def commit(self) -> str:
        """Makes what was published since the last commit visible to servers, all of it at once.

        With nothing published it says what time it is: rows of tables with `ttl_s` expire with a commit.

        After an error everything is kept, and `commit` may be called again: servers know each frame by
        this publisher's id and its number, and apply none twice.

        Returns:
            The commit's position in the stream.
        """
        end = Frame(
            self._header("commit", frames=len(self._pending), commit=self._commits),
            np.empty(0, np.int64),
        )
        frames = [*self._pending, end.to_bytes()]
        self._position = self._sink.write(frames, self._id, self._first, self._sequence + 1)
        self._sequence += 1
        self._first = self._sequence
        self._commits += 1
        self._pending.clear()
        return self._position

    def wait(self, timeout_s: float = 60) -> dict[str, str]:
        """Waits until every server that follows a stream in Redis has applied the last commit.

        A server that has not been heard of for `reader_timeout_s` is not waited for, and one that never
        was is not known. For one server and any stream there is `Table.wait_until(position)`.

        Returns:
            The servers' positions, by the servers' names.

        Raises:
            TimeoutError: some have not, and which.
            ValueError: a folder does not tell who has read it.
        """
        ends = time.monotonic() + timeout_s
        while True:
            readers = self._sink.readers()
            # Of another stream's name a position says nothing: that server waits for a load.
            behind = {
                name: position
                for name, position in readers.items()
                if position.partition(":")[0] != self._position.partition(":")[0]
                or position < self._position
            }
            if not behind or not self._position:
                return readers
            if time.monotonic() > ends:
                raise TimeoutError(f"not at {self._position} after {timeout_s} s: {behind}")
            time.sleep(0.01)

    def close(self) -> None:
        """What was not committed is dropped."""
        self._sink.close()

    def _add(self, kind: str, table: str, keys: Any, rows: Any, about: dict[str, Any]) -> None:
        header = self._header(
            kind, table=table, generation=self._generation_of(table), rows=len(keys), **about
        )
        self._pending.append(Frame(header, keys, rows).to_bytes())
        self._sequence += 1

    def _header(self, kind: str, **about: Any) -> dict[str, Any]:
        return {
            "kind": kind,
            "deployment": self._deployment,
            "publisher": self._id,
            "sequence": self._sequence,
            "time_us": time.time_ns() // 1000,
            **about,
        }

    def _generation_of(self, table: str) -> str:
        if isinstance(self._generation, str):
            return self._generation
        if table not in self._generation:
            raise ValueError(
                f"table {table!r} has no generation; `generation` names {sorted(self._generation)}"
            )
        return self._generation[table]


def _int64(table: str, keys: Any) -> npt.NDArray[np.int64]:
    array = np.asarray(keys)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"table {table!r}: keys are integers of shape [n]. "
            f"Received: {array.dtype.name} of shape {array.shape}"
        )
    if array.size and array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError(
            f"table {table!r}: a key is a signed 64-bit integer. Received: {array.max()}"
        )
    return array.astype(np.int64)


def _float_rows(table: str, source: Any) -> RowSource:
    if not isinstance(source, RowSource):
        if hasattr(source, "input_dim"):
            from tf_hps.store.keras_source import from_keras

            source = from_keras(source)
        else:
            source = ArraySource(source)
    if source.row_format == "int8":
        raise ValueError(
            f"table {table!r}: {source.description} has int8 rows; published are rows of floats"
        )
    if not source.ascending:
        raise ValueError(f"table {table!r}: the keys of {source.description} do not ascend")
    return source
