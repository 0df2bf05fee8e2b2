"""`tf-hps inspect`: what is in a store."""

import argparse
import datetime
import itertools

import numpy as np

from tf_hps.aligned_columns import aligned
from tf_hps.store import StoreReader, TableRecord, row_formats

_COLUMNS = ("table", "generation", "rows", "dim", "format", "bytes", "keys", "loaded")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "inspect",
        help="list the tables of a store, or show rows of one",
        description="List the tables of a store, or show rows of one. Takes no lock: the store may be "
        "in use. A `~` before a row count: it is an estimate, for rows were updated since the load, or of a "
        "delta only some keys were looked up in its base. Bytes and keys of a delta are its own.",
    )
    parser.add_argument("--store", required=True, metavar="DIR", help="the store's folder")
    parser.add_argument("--table", metavar="NAME", help="show this table's rows")
    parser.add_argument("--generation", metavar="ID", help="of the table (default: the newest)")
    parser.add_argument(
        "--rows",
        type=int,
        default=5,
        metavar="N",
        help="how many rows to show (default: %(default)s)",
    )
    parser.add_argument(
        "--first", type=int, default=-(1 << 63), metavar="KEY", help="the key to start at"
    )
    parser.add_argument("--key", type=int, metavar="KEY", help="show this key's row alone")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not -(1 << 63) <= options.first < 1 << 63:
        raise ValueError(f"A key is a signed 64-bit integer. Received: --first {options.first}")
    if options.key is not None and not -(1 << 63) <= options.key < 1 << 63:
        raise ValueError(f"A key is a signed 64-bit integer. Received: --key {options.key}")
    if options.key is not None and options.table is None:
        raise ValueError("--key needs the --table that it is a key of")
    if options.rows < 0:
        raise ValueError(f"--rows is a count. Received: {options.rows}")
    # The list of tables has no rows: it takes no time for the store's size.
    with StoreReader(options.store, hold_files=options.table is not None) as reader:
        if options.table is None:
            _print_tables(reader, reader.tables())
        else:
            record = reader.record(options.table, options.generation)
            _print_tables(reader, [record])
            _print_place(reader, record)
            if options.key is not None:
                return _print_row(reader, record, options.key)
            _print_rows(reader, record, options.first, options.rows)
    return 0


def _print_tables(reader: StoreReader, records: list[TableRecord]) -> None:
    has_deltas = any(record.base is not None for record in records)
    lines = [(*_COLUMNS, "delta over") if has_deltas else _COLUMNS]
    for record in records:
        over = (record.base or "",) if has_deltas else ()
        keys = "" if record.min_key is None else f"{record.min_key}..{record.max_key}"
        lines.append(
            (
                record.name,
                record.generation,
                f"{'~' if reader.rows_estimated(record) else ''}{record.rows:,}",
                str(record.embedding_dim),
                record.row_format,
                f"{reader.disk_bytes(record):,}",
                keys,
                record.created,
                *over,
            )
        )
    print("\n".join(aligned(lines)))


def _print_place(reader: StoreReader, record: TableRecord) -> None:
    place = reader.stream_record(record)
    if place is None:
        return
    committed = datetime.datetime.fromtimestamp(place["time_us"] / 1e6, datetime.timezone.utc)
    print(f"updates up to {place['position'] or 'none'}", end="")
    print(f", committed {committed:%Y-%m-%dT%H:%M:%S.%fZ}" if place["time_us"] else "")


def _print_row(reader: StoreReader, record: TableRecord, key: int) -> int:
    """1 for a key without a row, as grep does it."""
    stored, found = reader.get(record, np.array([key], np.int64))
    if not found[0]:
        print(f"{key}: no row, lookups give the default row")
        return 1
    row = row_formats.decode_rows(stored, record.row_format)[0]
    print(f"{key}: {np.array2string(row, precision=9, max_line_width=100, threshold=1 << 24)}")
    return 0


def _print_rows(reader: StoreReader, record: TableRecord, first: int, count: int) -> None:
    batches = reader.rows(record, first, batch_rows=max(1, count))
    rows = itertools.chain.from_iterable(
        zip(keys, row_formats.decode_rows(stored, record.row_format), strict=True)
        for keys, stored in batches
    )
    for key, row in itertools.islice(rows, count):
        print(f"{key}: {np.array2string(row, precision=6, max_line_width=100, threshold=8)}")
