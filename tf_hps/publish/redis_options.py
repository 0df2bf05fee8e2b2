"""How a publisher reaches Redis, and what its stream keeps."""

import dataclasses
import os
import pathlib
import urllib.parse
from collections.abc import Mapping
from typing import Any

_WANTED = "redis://HOST[:PORT][/DATABASE], rediss:// for TLS; of a cluster several with commas"


@dataclasses.dataclass(frozen=True)
class RedisStreamOptions:
    """The options of a stream in Redis. Those that a server has too are named as in its configuration.

    Attributes:
        stream: the stream's name: letters, digits, `_`, `-`, `.` and `/`.
        cluster: whether the servers are a Redis Cluster.
        username: ACL user; None: the default user.
        password_file: a file with the password.
        password_env: a variable of the environment with the password.
        tls_ca_file: certificates that the server's must be signed by; None: those of the system.
        tls_cert_file: this client's certificate.
        tls_key_file: its private key.
        timeout_ms: longest time to wait for an answer.
        retries: how often a commit that failed is tried again; it is never stored twice.
        keep_s: how long a commit stays although every server has read it: for servers that start.
        max_bytes: bytes of commits that are kept at most. Above it the oldest go, read or not.
        reader_timeout_s: how long to wait for a server that is not heard of.
        part_bytes: commits above it are stored in parts of so many bytes.
    """

    stream: str = "updates"
    cluster: bool = False
    username: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    tls_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    timeout_ms: int = 5000
    retries: int = 3
    keep_s: float = 24 * 3600
    max_bytes: int = 4 << 30
    reader_timeout_s: float = 3600
    part_bytes: int = 4 << 20

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "RedisStreamOptions":
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(f"unknown options {unknown}; known are {known}")
        return cls(**options)

    def __post_init__(self) -> None:
        if not self.stream or not set(self.stream) <= _NAME:
            raise ValueError(
                f"`stream` is letters, digits, _ - . and /. Received: stream={self.stream!r}"
            )
        for name in ("timeout_ms", "max_bytes", "part_bytes", "reader_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` is above 0. Received: {name}={getattr(self, name)!r}")
        for name in ("keep_s", "retries"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` is 0 or more. Received: {name}={getattr(self, name)!r}")

    def password(self) -> str | None:
        if self.password_env is not None:
            if self.password_env not in os.environ:
                raise ValueError(f"`password_env` names {self.password_env}, which is not set")
            return os.environ[self.password_env]
        if self.password_file is not None:
            return pathlib.Path(self.password_file).read_text().rstrip()
        return None


_NAME = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")


@dataclasses.dataclass(frozen=True)
class RedisUrl:
    """Where a server is, or those of a cluster."""

    addresses: list[tuple[str, int]]
    database: int
    tls: bool

    @classmethod
    def parse(cls, text: str) -> "RedisUrl":
        """No message shows the text: a password may stand in it."""
        addresses = []
        tls, database = None, 0
        for part in text.split(","):
            url = urllib.parse.urlsplit(part.strip())
            if url.scheme not in ("redis", "rediss") or not url.hostname:
                raise ValueError(f"`url` is no address of a Redis server. Wanted: {_WANTED}")
            if url.username or url.password or url.query:
                raise ValueError(
                    "`url` holds a user, a password or options; give `username` and "
                    "`password_file` or `password_env`"
                )
            path = url.path.strip("/")
            if path and not path.isdigit():
                raise ValueError("`url` has a database that is no number")
            if tls not in (None, url.scheme == "rediss"):
                raise ValueError("`url` has addresses with TLS and without")
            tls, database = url.scheme == "rediss", int(path or 0)
            addresses.append((url.hostname, url.port or 6379))
        return cls(addresses, database, bool(tls))
