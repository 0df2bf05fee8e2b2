"""`tf-hps load`: fill a store."""

import argparse

from tf_hps.commands.source_arguments import EXAMPLES, add_source_arguments, open_source
from tf_hps.progress import Progress
from tf_hps.store import StoreWriter
from tf_hps.store.database import COMPRESSIONS
from tf_hps.store.row_formats import ROW_FORMATS


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "load",
        help="write a table into a store",
        description="""\
Write a table into a store, which is made if it is not there. The table joins the store in one step
at the end: a load that is killed leaves the store as it was, and is started again. Loading the same
rows again changes nothing.""",
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
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    source = open_source(options)
    with StoreWriter(options.store, options.compression) as writer:
        with Progress(options.table) as progress:
            writer.write_table(options.table, source, options.row_format, progress)
        report = writer.last_load
    assert report is not None
    record = report.record
    print(
        f"{record.name}: {record.rows:,} rows, embedding_dim {record.embedding_dim}, "
        f"{record.row_format}, generation {record.generation}"
    )
    if report.already_there:
        print("The store had this generation already; nothing was written.")
        if report.modified:
            print("Its rows were updated since: they stay as they are now.")
    else:
        print(f"{report.seconds:.1f} s, {record.rows / max(report.seconds, 1e-6):,.0f} rows/s")
    return 0
