"""`tf-hps rollback`: publish tables as they were."""

import argparse
import contextlib
import json
import os
import tempfile

from tf_hps.progress import Progress
from tf_hps.publish.publisher import Publisher
from tf_hps.publish.rollback import publish_rollback
from tf_hps.store import StoreReader


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "rollback",
        help="publish tables as they were in a snapshot",
        description="""\
Publish, as one new commit, what makes tables what they were in a snapshot: rows that are others by now
or have gone, and erases of keys that came since. Every tier of every server follows, and the bad
update, which is still in the stream, does not come back.

Stop the trainer first, and let the server whose store is compared apply all that was published.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True, metavar="DIR", help="a server's store, as it is")
    parser.add_argument(
        "--snapshot", required=True, metavar="DIR", help="the store as it was (tf-hps snapshot)"
    )
    parser.add_argument(
        "--table", action="append", metavar="NAME", help="a table, or several (default: all)"
    )
    parser.add_argument("--url", required=True, help="the stream: a folder, or redis://HOST:PORT")
    parser.add_argument(
        "--options", metavar="JSON", default="{}", help="of a stream in Redis, as a Publisher's"
    )
    parser.add_argument(
        "--deployment", default="default", metavar="NAME", help="default: %(default)s"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as open_here:
        now = open_here.enter_context(StoreReader(options.store))
        then = open_here.enter_context(StoreReader(options.snapshot))
        names = options.table or sorted({record.name for record in then.tables()})
        records = {name: now.record(name) for name in names}
        generations = {name: record.generation for name, record in records.items()}
        scratch = open_here.enter_context(tempfile.TemporaryDirectory(prefix="tf_hps-rollback-"))
        publisher = open_here.enter_context(
            Publisher(options.url, options.deployment, generations, json.loads(options.options))
        )
        published = 0
        for name, record in records.items():
            with Progress(name) as progress:
                part = publish_rollback(
                    publisher, now, record, then, os.path.join(scratch, "sort"), progress
                )
            print(f"{name} ({record.generation}): {part.rows:,} rows, {part.erased:,} erased")
            published += part.rows + part.erased
        print(f"Committed at {publisher.commit()}" if published else "Nothing differs.")
    return 0
