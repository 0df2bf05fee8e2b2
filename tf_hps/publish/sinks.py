"""Where a publisher's commits go."""

import urllib.parse
from collections.abc import Iterable
from typing import Protocol

from tf_hps.publish.directory_sink import DirectorySink


class UpdateSink(Protocol):
    """Takes commits. Not thread-safe."""

    def write(self, frames: Iterable[bytes]) -> str:
        """Makes the frames of one commit visible to servers; their position in the stream."""

    def close(self) -> None: ...


def open_sink(url: str) -> UpdateSink:
    """The sink that `url` names: a folder, as a path or file:// URL."""
    scheme, _, _ = url.partition("://")
    if scheme == url:
        return DirectorySink(url)
    if scheme == "file":
        return DirectorySink(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    raise ValueError(f"`url` is a folder, or file:///folder. Received: url={url!r}")
