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
