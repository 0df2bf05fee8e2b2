"""`tf_hps.saved_model.rewrite` of a model with one table, against writing as many bytes into one file.

Both end with what they wrote on the disk. The rewrite runs in a process of its own, whose memory is printed;
the comparison of the two models is left out, and so is the import of TensorFlow. The two take turns.
"""

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import _axes
import _measure
import numpy as np

_CHUNK = 16 << 20

_SAVE = """
import sys
import tensorflow as tf
module = tf.Module()
module.rows = tf.Variable(tf.random.stateless_normal([int(a) for a in sys.argv[2:]], [1, 2]), name="rows")
look_up = tf.function(lambda ids: tf.gather(module.rows, ids))
signature = look_up.get_concrete_function(tf.TensorSpec([None], tf.int64, name="ids"))
tf.saved_model.save(module, sys.argv[1], signatures=signature)
"""


_REWRITE = """
import resource, sys, time
from tf_hps.saved_model import rewrite
started = time.perf_counter()
rewrite(sys.argv[1], sys.argv[2], check=False)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    axes = _axes.arguments(__doc__)
    report = _measure.Report("rewrite", "rewriting, bytes of rows a second")
    rows, embedding_dim = axes.large
    size = rows * embedding_dim * 4
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        subprocess.check_call([sys.executable, "-c", _SAVE, model, str(rows), str(embedding_dim)])
        rounds = []
        for _ in range(min(axes.rounds, 3)):
            seconds, peak = rewrite(model, os.path.join(folder, str(next(numbers))))
            rounds.append((seconds, write(os.path.join(folder, str(next(numbers))), size), peak))
    ratios = [written / rewritten for rewritten, written, _ in rounds]
    report.add(
        {"rows": rows, "dim": embedding_dim},
        "sequential write",
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        million_per_s=size / statistics.median(r[0] for r in rounds) / 1e6,
        peer_million_per_s=size / statistics.median(r[1] for r in rounds) / 1e6,
        peak_mib=max(peak for _, _, peak in rounds),
    )
    report.finish()


def rewrite(model: str, output: str) -> tuple[float, float]:
    """Rewrites; the seconds that took, and the peak of the process's memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _REWRITE, model, output], check=True, capture_output=True, text=True
    )
    shutil.rmtree(output)
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


def write(path: str, size: int) -> float:
    """Writes a file; the seconds that took."""
    chunk = np.random.default_rng(0).bytes(min(size, _CHUNK))
    started = time.perf_counter()
    with open(path, "wb") as file:
        for start in range(0, size, _CHUNK):
            file.write(chunk[: size - start])
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    os.remove(path)
    return seconds


if __name__ == "__main__":
    main()
