"""`tf-hps verify`: is a table what its source says."""

import argparse
import os
import tempfile

from tf_hps.commands.source_arguments import EXAMPLES, add_source_arguments, open_source
from tf_hps.progress import Progress
from tf_hps.store import StoreReader
from tf_hps.store.compare import compare_table


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "verify",
        help="compare every row of a table with a source",
        description="""\
Compare every row of a table, bit for bit, with what the source would be stored as. Exit code 1 when
anything differs. Takes no lock: the store may be in use.""",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True, metavar="DIR", help="the store's folder")
    parser.add_argument("--table", required=True, metavar="NAME", help="the table's name")
    parser.add_argument("--generation", metavar="ID", help="of the table (default: the newest)")
    add_source_arguments(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    source = open_source(options)
    with (
        StoreReader(options.store) as reader,
        tempfile.TemporaryDirectory(prefix="tf_hps-verify-") as scratch,
        Progress(options.table) as progress,
    ):
        record = reader.record(options.table, options.generation)
        result = compare_table(reader, record, source, os.path.join(scratch, "sort"), progress)
    print(
        f"{record.name} ({record.generation}): {result.equal:,} equal, {result.different:,} different, "
        f"{result.missing:,} missing, {result.extra:,} extra"
    )
    if not result.same:
        print(f"The first key that is not equal: {result.first_difference}")
    return 0 if result.same else 1
