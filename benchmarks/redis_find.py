"""embedding_lookup from Redis alone against redis-py: MGET of the same rows, and numpy's copy of them."""

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python"))

from _axes import arguments, draw_ids
from _measure import Report
from redis_server import port_of, redis_server

import tf_hps

EMBEDDING_DIM = 64
BATCH = 4096


def main() -> None:
    axes = arguments(__doc__)
    rows = min(axes.rows, 100_000)
    report = Report("redis_find", "tf_hps.embedding_lookup, Redis tier alone")
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder)) as server,
    ):
        config = tf_hps.Config(
            deployment="bench",
            redis=tf_hps.RedisConfig(f"redis://127.0.0.1:{port_of(server)}", timeout_ms=10000),
            tables={"movie_id": tf_hps.TableConfig(embedding_dim=EMBEDDING_DIM)},
        )
        table = tf_hps.Table("movie_id", config)
        values = np.random.default_rng(1).random((rows, EMBEDDING_DIM), dtype=np.float32)
        table.insert(np.arange(rows), values)
        pipe = server.pipeline(transaction=False)
        for key in range(rows):
            pipe.set(b"r" + key.to_bytes(8, "big"), values[key].tobytes())
        pipe.execute()
        for batch in (min(BATCH, rows), 256):
            ids = draw_ids("uniform", rows, batch)
            names = [b"r" + int(key).to_bytes(8, "big") for key in ids]

            def with_redis_py(names=names) -> np.ndarray:
                return np.frombuffer(b"".join(server.mget(names)), "<f4").reshape(-1, EMBEDDING_DIM)

            def ours(ids=ids) -> np.ndarray:
                return tf_hps.embedding_lookup(table, ids).numpy()

            np.testing.assert_array_equal(ours(), with_redis_py())
            calls = 10 if batch > 1000 else 50
            report.compare(
                {"batch": batch}, ours, {"redis-py": with_redis_py}, axes.rounds, calls, batch
            )
    report.finish()


if __name__ == "__main__":
    main()
