"""`tf-hps manifest`: what a store's folder holds, for servers that fetch it."""

import argparse

from tf_hps.store.manifest import MANIFEST, write_manifest


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "manifest",
        help="write what a store holds into its folder, before it is copied to a bucket",
        description=f"""\
Write {MANIFEST}, with the size and the checksum of each file of a store, into its folder. A server
fetches a store from a bucket (gs://...) by this list. `tf_hps.export` to a URL writes it itself; this
is for a store, or an export's assets.extra/hps, that you copy there with a tool of your own: the
manifest goes last.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True, metavar="DIR", help="the store's folder")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    files = write_manifest(options.store)
    print(f"{options.store}: {len(files)} files, {sum(file.bytes for file in files):,} bytes")
    return 0
