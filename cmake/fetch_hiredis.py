"""Fetches hiredis 1.x with its TLS part: the C sources inside the source distribution of PyPI's `hiredis`.

Debian's libhiredis has no TLS, and a library of the system would meet TensorFlow's symbols in the process.
Prints the folder to include from: `<folder>/hiredis/hiredis.h`.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

VERSION = "3.5.0"
SHA256 = "c227592cc56b7df247abe4755c26723965be68972be2149fa441ac33d82131ba"
ARCHIVE = f"hiredis-{VERSION}.tar.gz"
ROOT = pathlib.Path(__file__).resolve().parent.parent


def downloads() -> pathlib.Path:
    return pathlib.Path(os.environ.get("TF_HPS_DOWNLOADS") or ROOT / "build/downloads")


def download(folder: pathlib.Path) -> None:
    """pip, so that whatever index and proxy this machine is set up with is used."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        requirement = pathlib.Path(temporary) / "hiredis.txt"
        requirement.write_text(f"hiredis=={VERSION} --hash=sha256:{SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
        done = subprocess.run(
            [*command, "-d", temporary, "-r", str(requirement)], capture_output=True, text=True
        )
        if done.returncode != 0:
            sys.exit(
                f"{done.stderr.strip()}\nhiredis cannot be fetched with pip. Without a network put "
                f"{ARCHIVE} from PyPI (sha256 {SHA256}) into {folder}, or into a folder named in "
                f"TF_HPS_DOWNLOADS, and run this again."
            )
        shutil.move(str(pathlib.Path(temporary) / ARCHIVE), folder / ARCHIVE)


def fetch() -> pathlib.Path:
    folder = downloads()
    sources = folder / f"hiredis-{VERSION}-{SHA256[:8]}"
    if sources.is_dir():
        return sources
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    if not archive.exists():
        download(folder)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(
            f"{archive} has sha256 {found}, wanted is {SHA256}: delete it, or put the right one"
        )
    prefix = f"hiredis-{VERSION}/vendor/"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        with tarfile.open(archive) as packed:
            for member in packed.getmembers():
                if member.isfile() and member.name.startswith(prefix):
                    target = pathlib.Path(temporary) / "sources" / member.name.removeprefix(prefix)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    content = packed.extractfile(member)
                    assert content is not None
                    target.write_bytes(content.read())
        # At once: several builds may be configured at the same time.
        try:
            os.rename(pathlib.Path(temporary) / "sources", sources)
        except OSError:
            if not sources.is_dir():
                raise
    return sources


if __name__ == "__main__":
    print(fetch())
