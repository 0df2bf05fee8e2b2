"""What a server makes of a folder of update segments, for tests of the trainer's side."""

import pathlib

import numpy as np
import numpy.typing as npt

from tf_hps.publish import Frame, read_frames


class SegmentServer:
    """Applies all commits of a folder to tables of rows by key."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.tables: dict[str, dict[int, list[float]]] = {}
        self.frames: list[Frame] = []

    def catch_up(self) -> "SegmentServer":
        self.frames = [
            frame
            for segment in sorted(self.folder.glob("*.hpsu"))
            for frame in read_frames(segment.read_bytes(), segment.name)
        ]
        self.tables = {}
        for frame in self.frames:
            table = self.tables.setdefault(frame.header.get("table", ""), {})
            for i, key in enumerate(frame.keys.tolist()):
                if frame.rows is None:
                    table.pop(key, None)
                else:
                    table[key] = frame.rows[i].tolist()
        return self

    def rows(self, table: str) -> npt.NDArray[np.float32]:
        found = self.tables.get(table, {})
        return np.array([found[key] for key in sorted(found)], np.float32)
