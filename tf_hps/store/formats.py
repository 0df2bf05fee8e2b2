"""Names, keys and records of a RocksDB store (docs/formats.md)."""

import dataclasses
import json
import re

from tf_hps.store import row_formats
from tf_hps.store.errors import StoreError

FORMAT_VERSION = 1
# Of a store that deltas are in: who reads version 1 alone would take one for a whole table.
FORMAT_VERSION_OF_DELTAS = 2
FORMAT_VERSION_KEY = b"tf_hps/format_version"
TABLE_PREFIX = b"tf_hps/table/"
MODIFIED_PREFIX = b"tf_hps/modified/"
STREAM_PREFIX = b"tf_hps/stream/"
GROWTH_PREFIX = b"tf_hps/growth/"
ROWS_PREFIX = "rows/"
AGES_PREFIX = "ages/"
TABLE_FAMILIES = (ROWS_PREFIX, AGES_PREFIX)

_NAME = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_GENERATION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclasses.dataclass(frozen=True)
class TableRecord:
    """What a store knows about one generation of one table."""

    name: str
    generation: str
    column_family: str
    embedding_dim: int
    row_format: str
    rows: int
    sequence: int
    created: str
    # None: no rows, or a table that was filled by inserts.
    min_key: int | None = None
    max_key: int | None = None
    # Not None: lies over a table of another store, and has only what changed since.
    over: str | None = None
    # Of a delta: the generation in the same store of which it has only what differs. `rows` counts those
    # of both; `min_key` and `max_key` are of the delta's own.
    base: str | None = None
    # True: `rows` is an estimate, of a delta with more keys than were looked up in its base.
    rows_estimated: bool | None = None

    @property
    def row_bytes(self) -> int:
        return row_formats.row_bytes(self.row_format, self.embedding_dim)

    @property
    def key(self) -> bytes:
        return TABLE_PREFIX + f"{self.name}/{self.generation}".encode()

    @property
    def modified_key(self) -> bytes:
        return MODIFIED_PREFIX + f"{self.name}/{self.generation}".encode()

    @property
    def stream_key(self) -> bytes:
        return STREAM_PREFIX + f"{self.name}/{self.generation}".encode()

    @property
    def growth_key(self) -> bytes:
        return GROWTH_PREFIX + f"{self.name}/{self.generation}".encode()

    @property
    def families(self) -> tuple[str, str]:
        """The column families that it has, or may have: that of the rows' ages."""
        return self.column_family, f"{AGES_PREFIX}{self.name}/{self.generation}"

    def to_json(self) -> bytes:
        fields = dataclasses.asdict(self)
        del fields["name"], fields["generation"]
        return json.dumps({k: v for k, v in fields.items() if v is not None}).encode()

    @classmethod
    def parse(cls, key: bytes, value: bytes, path: str) -> "TableRecord":
        try:
            name, generation = key[len(TABLE_PREFIX) :].decode().rsplit("/", 1)
            fields = json.loads(value)
            known = {f.name for f in dataclasses.fields(cls)}
            record = cls(
                name=name, generation=generation, **{k: v for k, v in fields.items() if k in known}
            )
            row_formats.row_bytes(record.row_format, record.embedding_dim)
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{path}: the record {key!r} is damaged: {error}") from error
        return record


def check_name(name: str) -> None:
    """Raises a ValueError for what cannot be a table's name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "A table's name has letters, digits and `_.-`, with `/` allowed inside. "
            f"Received: name={name!r}"
        )


def check_generation(generation: str) -> None:
    """Raises a ValueError for what cannot be a generation."""
    if not isinstance(generation, str) or not _GENERATION.fullmatch(generation):
        raise ValueError(
            "A generation has lower-case letters and digits, with `-` allowed inside. "
            f"Received: generation={generation!r}"
        )


def column_family(name: str, generation: str) -> str:
    return f"{ROWS_PREFIX}{name}/{generation}"
