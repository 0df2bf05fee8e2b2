"""Servers on one machine that share one store: disk and memory of four, over those of one.

The store is read-only, each server has an overlay of its own (`rocksdb.state_dir`), follows one stream in which a
hundredth of the rows changes, and keeps a tenth of the rows in memory. Memory is what a process has for itself.
"""

import pathlib
import subprocess
import sys
import tempfile

import _axes
import _measure
import numpy as np

import tf_hps
from tf_hps.store import StoreWriter, from_arrays

SERVERS = 4

_SERVE = """
import sys
import numpy as np, tensorflow as tf, tf_hps, tf_hps.ops
tf.gather(np.zeros(2), tf.constant([1]))  # what TensorFlow takes is not ours
folder, number, position, rows = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
config = tf_hps.Config(
    deployment="shared",
    memory=tf_hps.MemoryConfig(capacity_rows=rows // 10),
    rocksdb=tf_hps.RocksdbConfig(folder + "/store", read_only=True, state_dir=f"{folder}/state-{number}"),
    updates=tf_hps.UpdatesConfig(url=folder + "/stream"),
    tables={"t": tf_hps.TableConfig()},
)
def anonymous():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["RssAnon"].split()[0]) * 1024
before = anonymous()
table = tf_hps.Table("t", config)
table.wait_until(position)
random = np.random.default_rng(int(number))
for _ in range(40):
    tf_hps.embedding_lookup(table, random.integers(0, rows, rows // 100))
assert (tf_hps.embedding_lookup(table, [0]).numpy() == 7).all()
print(anonymous() - before, flush=True)
sys.stdin.read()
"""


def main() -> None:
    axes = _axes.arguments(__doc__)
    rows, dim = axes.rows, axes.embedding_dim
    report = _measure.Report(
        "servers_of_one_store",
        f"{SERVERS} servers of one store",
        "what four take over what one does",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with StoreWriter(folder / "store") as writer:
            values = np.random.default_rng(1).random((rows, dim), np.float32)
            generation = writer.write_table("t", from_arrays(values))
        (folder / "stream").mkdir()
        with tf_hps.Publisher(str(folder / "stream"), "shared", generation) as publisher:
            publisher.publish("t", np.arange(0, rows, 100), np.full((-(-rows // 100), dim), 7))
            position = publisher.commit()
        servers: list[subprocess.Popen[str]] = []
        disk, memory = [bytes_of(folder / "store")], [0]
        try:
            for number in range(SERVERS):
                command = [sys.executable, "-c", _SERVE, name, str(number), position, str(rows)]
                servers.append(
                    subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                    )
                )
                stdout = servers[-1].stdout
                assert stdout is not None
                memory.append(memory[-1] + int(stdout.readline()))
                disk.append(disk[-1] + bytes_of(folder / f"state-{number}"))
        finally:
            for server in servers:
                server.communicate()
    for what, taken in (("disk", disk), ("memory", memory)):
        report.add(
            {"rows": rows, "dim": dim, "of": what},
            "one server",
            ratio=taken[SERVERS] / taken[1],
            one_mb=taken[1] / 1e6,
            four_mb=taken[SERVERS] / 1e6,
        )
    report.finish()


def bytes_of(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
