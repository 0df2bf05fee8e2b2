"""Updates as files in a folder, for servers that see it: a disk, a network share, a mounted bucket."""

import errno
import os
import pathlib
import re
from collections.abc import Iterable

_SEGMENT = re.compile(r"(\d{20})\.hpsu")


class DirectorySink:
    """One segment file a commit, `00000000000000000001.hpsu` and so on.

    A segment appears under its name when it is whole and on the disk; one that is there never changes.
    Several publishers may write into one folder.

    Args:
        path: the folder; made if it does not exist.
    """

    dropped = 0  # whoever removes segments knows

    def __init__(self, path: str | os.PathLike[str]):
        self._folder = pathlib.Path(path)
        self._folder.mkdir(parents=True, exist_ok=True)

    def write(self, frames: Iterable[bytes], publisher: str, first: int, after: int) -> str:
        """Makes the frames of one commit visible, all or none; the segment's name."""
        unfinished = self._folder / f".{os.getpid()}-{os.urandom(8).hex()}.unfinished"
        try:
            with open(unfinished, "xb") as file:
                for frame in frames:
                    file.write(frame)
                file.flush()
                os.fsync(file.fileno())
            number = self._last() + 1
            while not self._publish(unfinished, self._folder / f"{number:020d}.hpsu"):
                number += 1  # another publisher was faster
        finally:
            unfinished.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return f"{number:020d}.hpsu"

    def _last(self) -> int:
        names = (_SEGMENT.fullmatch(name) for name in os.listdir(self._folder))
        return max((int(match[1]) for match in names if match), default=0)

    @staticmethod
    def _publish(unfinished: pathlib.Path, segment: pathlib.Path) -> bool:
        try:
            os.link(unfinished, segment)  # never replaces a file
        except FileExistsError:
            return False
        except OSError as error:
            # Buckets and some shares have no links: there a folder has one publisher.
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            if segment.exists():
                return False
            os.rename(unfinished, segment)
        return True

    def readers(self) -> dict[str, str]:
        raise ValueError("a folder does not tell who has read it; a stream in Redis does")

    def close(self) -> None:
        """Nothing is kept open."""
