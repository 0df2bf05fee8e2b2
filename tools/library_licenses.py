"""Finds the licence texts of libraries that are copied into a wheel, or compiled into its binaries."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"
# Compiled in: nothing of them shows in the list of libraries.
HEADER_PACKAGES = ["nlohmann-json3-dev", "libssl-dev"]


def unhashed(library: str) -> str:
    """auditwheel's name without its hash: librocksdb-1a2b3c4d.so.7.8 is librocksdb.so.7.8."""
    return re.sub(r"-[0-9a-f]{8}(?=\.so)", "", library)


def debian_package(library: str) -> str:
    """The package that owns a shared library of this soname, unpacked into .deps/ or installed."""
    for listing in sorted(DEPS.glob("lists/*.list")):
        if re.search(rf"/{re.escape(library)}(?:$|[. ])", listing.read_text(), re.MULTILINE):
            return listing.stem
    found = subprocess.run(["dpkg-query", "-S", f"*/{library}"], capture_output=True, text=True)
    if found.returncode != 0:
        raise LookupError(f"no Debian package owns {library}: {found.stderr.strip()}")
    return found.stdout.split(":")[0]


def copyright_file(package: str) -> pathlib.Path:
    for prefix in (DEPS, pathlib.Path("/")):
        path = prefix / "usr/share/doc" / package / "copyright"
        if path.exists():
            return path
    raise LookupError(f"package {package} has no copyright file under .deps/ or /usr/share/doc")


def licenses_of(libraries: Iterable[str]) -> dict[str, bytes]:
    """Licence texts by package, for the libraries and for the headers that are compiled in."""
    packages = sorted({debian_package(unhashed(library)) for library in libraries})
    texts = {name: copyright_file(name).read_bytes() for name in packages + HEADER_PACKAGES}
    files = importlib.metadata.files("pybind11") or []
    (license_file,) = (path for path in files if path.name == "LICENSE")
    texts["pybind11"] = license_file.read_binary()
    command = [sys.executable, str(ROOT / "cmake/fetch_hiredis.py")]
    fetched = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    texts["hiredis"] = (pathlib.Path(fetched) / "hiredis/COPYING").read_bytes()
    return texts
