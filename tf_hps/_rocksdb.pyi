import numpy as np
from numpy.typing import NDArray

class SstFile:
    """Rows as one of RocksDB's table files, outside of any database; one thread at a time.

    Other threads of Python run during its calls. What RocksDB refuses is an OSError with its words; the
    file is good for nothing then. One that is not finished is closed as it is when the object goes.

    Args:
        path: The file, made anew.
        row_bytes: The size of a row.
        compression: "none" or "lz4".
    """

    def __init__(self, path: str, row_bytes: int, compression: str) -> None: ...
    def add(
        self,
        keys: NDArray[np.int64],
        rows: NDArray[np.uint8],
        erased: NDArray[np.bool_] | None = None,
    ) -> None:
        """Appends `rows` [n, row_bytes] under ascending `keys` [n], all contiguous; where `erased` [n] is
        true, a value of no bytes."""

    def finish(self) -> None:
        """Writes the file's end and syncs it to the disk. A file without rows is an error."""

class RowCursor:
    """Rows of a column family in the order of their keys; one thread at a time."""

    def next(
        self, most: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]] | None:
        """The next `most` rows, fewer at the end: keys [n], rows [n, row_bytes], and erased [n]: which values
        have no bytes, and rows of zeros. None when there are no more."""

class Database:
    """A database of RocksDB as it is when opened, any number of threads; takes no lock, writes nothing.

    Other threads of Python run during its calls. What RocksDB says is wrong is an OSError with its words.

    Args:
        path: The database's folder.
        files: Which files of rows are opened at once: "all", which are then read whatever a writer in another
            process makes of them; "when_read": up to 16 of them, the others when they are read, so that
            opening takes no time for the database's size; "none": the default column family alone.
    """

    def __init__(self, path: str, files: str = "all") -> None: ...
    def families(self) -> list[str]:
        """The names of all column families but the default one."""

    def get(self, key: bytes) -> bytes | None:
        """A value of the default column family."""

    def items(self, prefix: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """The first `most` keys of the default column family that begin so, and their values."""

    def disk_bytes(self, family: str) -> int:
        """The size of the column family's files."""

    def rows(self, family: str, row_bytes: int, first: int, last: int) -> RowCursor:
        """The rows of the keys in [first, last]."""

    def get_rows(
        self, family: str, row_bytes: int, keys: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows [n, row_bytes] of `keys` [n], contiguous, zeros where there is none; which are stored; which
        have a value of no bytes."""

    def close(self) -> None:
        """Cursors read on; files stay open until the last one goes."""
