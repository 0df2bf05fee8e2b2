"""`tf-hps snapshot`: a store's tables as they are now."""

import argparse

from tf_hps.store import StoreReader
from tf_hps.store.snapshot import snapshot_store


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "snapshot",
        help="keep tables of a store as they are now",
        description="""\
Make a new store with tables of another as they are now, before a bulk update that may have to be
taken back with `tf-hps rollback`. The store may be in use. A store that nobody writes to costs no
space: the snapshot shares its files.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True, metavar="DIR", help="the store's folder")
    parser.add_argument("--to", required=True, metavar="DIR", help="the new folder")
    parser.add_argument(
        "--table", action="append", metavar="NAME", help="a table, or several (default: all)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with StoreReader(options.store) as reader:
        names = options.table or [record.name for record in reader.tables()]
        # The newest generation of each.
        tables = {name: reader.record(name).generation for name in names}
    shares = snapshot_store(options.store, options.to, tables)
    print(f"{options.to}: {', '.join(sorted(tables))}{' (files shared)' if shares else ''}")
    return 0
