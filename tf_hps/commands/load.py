"""`tf-hps load`: fill a store."""

import argparse

from tf_hps.commands.source_arguments import EXAMPLES, add_source_arguments, open_source
from tf_hps.progress import Progress
from tf_hps.store import LoadReport, RowSource, StoreWriter
from tf_hps.store.database import COMPRESSIONS
from tf_hps.store.row_formats import ROW_FORMATS
from tf_hps.store.sources import keys_from_npy


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "load",
        help="write a table into a store",
        description="""\
Write a table into a store, which is made if it is not there. The table joins the store in one step
at the end: a load that is killed leaves the store as it was, and is started again. Loading the same
rows again changes nothing. With --base, what differs from a generation that is there is written, in
the time that takes: the source's rows are put over it, and the keys of --erased taken away.""",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True, metavar="DIR", help="the store's folder")
    parser.add_argument("--table", required=True, metavar="NAME", help="the table's name")
    add_source_arguments(parser)
    parser.add_argument(
        "--row_format", choices=ROW_FORMATS, help="how rows are stored (default: as the source's)"
    )
    parser.add_argument(
        "--compression", choices=COMPRESSIONS, default="none", help="default: %(default)s"
    )
    parser.add_argument(
        "--base", metavar="ID", help="the generation to put the rows over, as it was loaded"
    )
    parser.add_argument(
        "--erased",
        metavar="FILE",
        help="with --base: a .npy file of keys that have no row any more",
    )
    parser.add_argument(
        "--complete",
        action="store_true",
        help="with --base: the source has all rows, and what it does not have is erased",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.base is None and (options.erased or options.complete):
        raise ValueError("--erased and --complete say what becomes of a --base")
    source = open_source(options)
    with StoreWriter(options.store, options.compression) as writer:
        with Progress(options.table) as progress:
            if options.base is None:
                writer.write_table(options.table, source, options.row_format, progress)
            else:
                _write_delta(writer, source, options, progress)
        report = writer.last_load
    assert report is not None
    _print_report(report, options.base is not None)
    return 0


def _write_delta(
    writer: StoreWriter, source: RowSource, options: argparse.Namespace, progress: Progress
) -> None:
    erased = keys_from_npy(options.erased) if options.erased else ()
    for record in writer.tables():
        stored_as = record.row_format
        if record.generation == options.base and options.row_format not in (None, stored_as):
            raise ValueError(
                f"Rows over generation {options.base} are stored as that one's are, {stored_as}. "
                f"Received: --row_format {options.row_format}"
            )
    writer.write_delta(options.table, options.base, source, erased, options.complete, progress)


def _print_report(report: LoadReport, over_base: bool) -> None:
    record = report.record
    print(
        f"{record.name}: {'about ' if record.rows_estimated else ''}{record.rows:,} rows, "
        f"embedding_dim {record.embedding_dim}, "
        f"{record.row_format}, generation {record.generation}"
    )
    if report.already_there:
        print("The store had this generation already; nothing was written.")
        if report.modified:
            print("Its rows were updated since: they stay as they are now.")
        return
    if record.base is not None:
        print(
            f"Over generation {record.base}: {report.changed:,} rows new or changed, "
            f"{report.erased:,} erased"
        )
    elif over_base:
        print("That is more than half of the base's rows: all rows were written, without a base.")
    written = report.changed if record.base is not None else record.rows
    print(f"{report.seconds:.1f} s, {written / max(report.seconds, 1e-6):,.0f} rows/s")
