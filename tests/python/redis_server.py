"""A real redis-server on a free port of the loopback, for tests and benchmarks."""

import contextlib
import os
import pathlib
import socket
import subprocess
import time
from collections.abc import Iterator

import redis


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def redis_server(
    folder: pathlib.Path, *arguments: str, port: int | None = None, **client: object
) -> Iterator[redis.Redis]:
    """Yields a client of it. `arguments` are the server's, `client` the client's."""
    port = port or free_port()
    ports = ["--port", "0", "--tls-port", str(port)] if client.get("ssl") else ["--port", str(port)]
    environment = dict(os.environ)
    if libraries := os.environ.get("TF_HPS_TEST_LIBRARIES"):
        environment["LD_LIBRARY_PATH"] = libraries
    where = ["--bind", "127.0.0.1", "--dir", str(folder), "--logfile", str(folder / "redis.log")]
    process = subprocess.Popen(
        ["redis-server", *ports, *where, "--save", "", *arguments], env=environment
    )
    try:
        # The address, not a name: a certificate is for the one or for the other.
        waits = {"socket_timeout": 30, "socket_connect_timeout": 30}
        connected = redis.Redis(host="127.0.0.1", port=port, **waits, **client)
        for tries in range(500):
            try:
                connected.ping()
                break
            except redis.ConnectionError:
                if tries == 499 or process.poll() is not None:
                    raise
                time.sleep(0.01)
        yield connected
    finally:
        process.kill()
        process.wait()


def port_of(client: redis.Redis) -> int:
    return int(client.connection_pool.connection_kwargs["port"])
