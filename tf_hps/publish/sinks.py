"""Where a publisher's commits go."""

import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tf_hps.publish.directory_sink import DirectorySink
from tf_hps.publish.redis_stream_sink import RedisStreamSink


class UpdateSink(Protocol):
    """Takes commits. Not thread-safe."""

    dropped: int  # commits that went although a server had not read them

    def write(self, frames: Iterable[bytes], publisher: str, first: int, after: int) -> str:
        """Makes the frames of one commit visible to servers; their position in the stream.

        They are those of `publisher` from number `first` on, and `after` is the next one's. Commits
        that were written may be written again, with more frames at their end too.
        """

    def readers(self) -> dict[str, str]:
        """The position of each server that follows, by its name."""

    def close(self) -> None: ...


def open_sink(url: str, options: Mapping[str, Any]) -> UpdateSink:
    """The sink that `url` names: a folder, as a path or file:// URL, or a stream in Redis."""
    scheme, _, _ = url.partition("://")
    if scheme in ("redis", "rediss"):
        return RedisStreamSink(url, options)
    if scheme in (url, "file") and options:
        raise ValueError(f"a folder has no options. Received: {sorted(options)}")
    if scheme == url:
        return DirectorySink(url)
    if scheme == "file":
        return DirectorySink(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    raise ValueError(
        f"`url` is a folder, file:///folder, redis://HOST:PORT or rediss://HOST:PORT. "
        f"Received: url={url!r}"
    )
