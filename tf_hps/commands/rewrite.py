"""`tf-hps rewrite`: a SavedModel's embeddings into tables."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "rewrite",
        help="move the embeddings of a SavedModel into tables",
        description="""\
Write a SavedModel that looks its embeddings up in tables, from one that holds them as variables. The
model's Python is not needed. The output appears when it is whole and answers as the input does, bit for
bit; the input is only read.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--saved_model_dir", required=True, metavar="DIR", help="the SavedModel that is read"
    )
    parser.add_argument("--output_dir", metavar="DIR", help="the new SavedModel's folder")
    parser.add_argument(
        "--store",
        metavar="DIR",
        help="the store that gets the rows (default: one inside of the output)",
    )
    parser.add_argument(
        "--deployment", default="default", metavar="NAME", help="default: %(default)s"
    )
    parser.add_argument(
        "--min_rows",
        type=int,
        default=0,
        metavar="N",
        help="variables with fewer rows stay (default: %(default)s)",
    )
    parser.add_argument(
        "--out_of_range",
        choices=("error", "default_row", "wrap_negatives"),
        default="error",
        help="what ids outside of the vocabulary do (default: %(default)s, as in the input)",
    )
    parser.add_argument(
        "--drop_unread",
        action="store_true",
        help="leave out variables that no function reads, e.g. an optimizer's state",
    )
    parser.add_argument(
        "--no_group", action="store_true", help="leave each lookup an op of its own"
    )
    parser.add_argument(
        "--no_check", action="store_true", help="do not compare the output with the input"
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="say what would be done, and write nothing"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.output_dir is None and not options.dry_run:
        raise ValueError("--output_dir is needed unless --dry_run is given")
    from tf_hps.saved_model.rewriting import rewrite

    report = rewrite(
        options.saved_model_dir,
        options.output_dir,
        store=options.store,
        deployment=options.deployment,
        min_rows=options.min_rows,
        out_of_range=options.out_of_range,
        drop_unread=options.drop_unread,
        group=not options.no_group,
        check=not options.no_check,
        dry_run=options.dry_run,
    )
    print(report.to_json() if options.json else report)
    return 0
