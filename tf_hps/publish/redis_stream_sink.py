"""Updates as a stream in Redis, for servers that follow it within milliseconds."""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tf_hps.errors import (
    DataLossError,
    FailedPreconditionError,
    ResourceExhaustedError,
    UnavailableError,
)
from tf_hps.publish.redis_options import RedisStreamOptions, RedisUrl
from tf_hps.publish.redis_scripts import COMMIT, STAGE

_LOG = logging.getLogger("tf_hps")
# What a publisher that died in the middle of a commit leaves behind goes after an hour.
_STAGED_S = 3600


class RedisStreamSink:
    """One entry a commit; large commits in parts that are visible together.

    A commit that is written again, because nobody heard that it had arrived, is stored once: Redis
    keeps how far each publisher is. Several publishers may write to one stream.

    Args:
        url: `redis://HOST[:PORT][/DATABASE]`, `rediss://` for TLS; of a cluster several with commas.
        options: see `RedisStreamOptions`.
    """

    def __init__(self, url: str, options: Mapping[str, Any]):
        self._options = RedisStreamOptions.of(options)
        self._redis = _connect(RedisUrl.parse(url), self._options)
        base = f"tf_hps/updates/{{{self._options.stream}}}"
        self._stream, self._head, self._readers = base, f"{base}/head", f"{base}/readers"
        self._publishers, self._sizes = f"{base}/publishers", f"{base}/sizes"
        self.dropped = 0
        self._check_eviction()

    def write(self, frames: Iterable[bytes], publisher: str, first: int, after: int) -> str:
        """Makes the frames of one commit visible, all or none; their position in the stream."""
        data = b"".join(frames)
        step = self._options.part_bytes
        parts = [data[i : i + step] for i in range(0, len(data), step)] if len(data) > step else []
        staged = f"{self._stream}/parts/{publisher}/{first}-{after}"
        keys = [self._stream, self._head, self._readers, self._publishers, self._sizes]
        arguments = [
            *(os.urandom(8).hex(), publisher, first, after, len(parts), len(data)),
            *(b"" if parts else data, int(self._options.keep_s * 1000), self._options.max_bytes),
            int(self._options.reader_timeout_s * 1000),
        ]
        # Twice where Redis was restarted, or ran out of memory, between a part and the commit.
        for _ in range(2):
            for i, part in enumerate(parts):
                where = [self._publishers, staged]
                self._run(STAGE, where, [publisher, after, i, part, _STAGED_S])
            reply = self._run(COMMIT, [*keys, *([staged] if parts else [])], arguments)
            verdict, lineage, number = (bytes(word).decode() for word in reply[:3])
            if verdict != "incomplete":
                break
        if verdict == "gap":
            raise DataLossError(
                f"the stream {self._options.stream!r} knows this publisher's frames up to {number}, and "
                f"these begin at {first}: Redis has lost what came before. Publish all rows with a new "
                "Publisher, and load the servers that the stream has left behind"
            )
        if verdict == "incomplete":
            raise UnavailableError(
                f"Redis does not keep the parts of a commit to the stream {self._options.stream!r}"
            )
        self._count_dropped(int(reply[3]))
        return f"{lineage}:{int(number):020d}"

    def readers(self) -> dict[str, str]:
        """The position of each server that was heard of lately, by its name."""
        found = self._call("HGETALL", self._readers)
        now = time.time() * 1000
        positions = {}
        for name, value in found.items():
            lineage, number, heard = value.decode().split()
            if now - int(heard) <= self._options.reader_timeout_s * 1000:
                positions[name.decode()] = f"{lineage}:{int(number):020d}" if int(number) else ""
        return positions

    def close(self) -> None:
        self._redis.close()

    def _count_dropped(self, dropped: int) -> None:
        if dropped == 0:
            return
        self.dropped += dropped
        _LOG.warning(
            "update stream %r: %d commits that a server had not read were dropped, to stay below "
            "max_bytes=%d. That server has to be loaded again",
            *(self._options.stream, dropped, self._options.max_bytes),
        )

    def _check_eviction(self) -> None:
        info = self._call("INFO", "memory", key=self._stream)
        policy = str(info.get("maxmemory_policy", ""))
        if policy.startswith("allkeys-"):
            raise FailedPreconditionError(
                f"Redis has maxmemory-policy {policy}, which may evict the update stream. "
                "Wanted: a volatile-* policy, or noeviction"
            )

    def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        # EVAL: the text is small beside a commit, and no server can have forgotten it.
        return self._call("EVAL", script, len(keys), *keys, *arguments)

    def _call(self, *words: Any, key: str | None = None) -> Any:
        import redis

        where = {}
        if key is not None and self._options.cluster:
            where["target_nodes"] = self._redis.get_node_from_key(key)
        try:
            return self._redis.execute_command(*words, **where)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        except redis.RedisError as error:
            is_full = isinstance(error, redis.exceptions.OutOfMemoryError)
            kind = ResourceExhaustedError if is_full else FailedPreconditionError
            raise kind(f"Redis refuses {words[0]}: {error}") from error


def _connect(url: RedisUrl, options: RedisStreamOptions) -> Any:
    try:
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ImportError(
            "a stream in Redis needs redis-py: pip install 'tf_hps[redis]'"
        ) from error
    settings: dict[str, Any] = {
        "username": options.username,
        "password": options.password(),
        "socket_timeout": options.timeout_ms / 1000,
        "socket_connect_timeout": options.timeout_ms / 1000,
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), options.retries),
    }
    if url.tls:
        settings |= {
            "ssl": True,
            "ssl_ca_certs": options.tls_ca_file,
            "ssl_certfile": options.tls_cert_file,
            "ssl_keyfile": options.tls_key_file,
        }
    try:
        if options.cluster:
            nodes = [redis.cluster.ClusterNode(host, port) for host, port in url.addresses]
            return redis.RedisCluster(startup_nodes=nodes, **settings)
        if len(url.addresses) > 1:
            raise ValueError("`url` has several addresses, and `cluster` is false")
        (host, port) = url.addresses[0]
        again: list[type[Exception]] = [redis.ConnectionError, redis.TimeoutError]
        client = redis.Redis(host, port, url.database, retry_on_error=again, **settings)
        client.ping()
        return client
    except redis.RedisError as error:
        raise UnavailableError(f"Redis cannot be reached: {error}") from error
