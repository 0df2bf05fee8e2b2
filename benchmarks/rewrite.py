"""`tf-hps rewrite` of a model with one table, against writing as many bytes into one file.

Both end with what they wrote on the disk. The rewrite runs in a process of its own, TensorFlow's import
included, without the comparison of the two models. Prints the peak of its memory too.
"""

import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile

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


def main() -> None:
    axes = _axes.arguments(__doc__)
    report = _measure.Report("rewrite", "tf-hps rewrite, bytes of rows a second")
    rows, embedding_dim = axes.large
    size = rows * embedding_dim * 4
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        subprocess.check_call([sys.executable, "-c", _SAVE, model, str(rows), str(embedding_dim)])
        saved = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        peaks: list[int] = []
        report.compare(
            {"rows": rows, "dim": embedding_dim},
            lambda: peaks.append(rewrite(model, os.path.join(folder, str(next(numbers))))),
            {"sequential write": lambda: write(os.path.join(folder, str(next(numbers))), size)},
            min(axes.rounds, 3),
            1,
            size,
        )
    print(f"peak memory of the rewrite: {max(peaks) / 1024:.0f} MiB; of saving: {saved / 1024:.0f}")
    report.finish()


def rewrite(model: str, output: str) -> int:
    """Rewrites; the peak of the process's memory in KiB."""
    program = (
        "import resource, sys\n"
        "from tf_hps.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "sys.exit(code)"
    )
    arguments = ["rewrite", "--saved_model_dir", model, "--output_dir", output, "--no_check"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    )
    shutil.rmtree(output)
    return int(done.stdout.split()[-1])


def write(path: str, size: int) -> None:
    chunk = np.random.default_rng(0).bytes(min(size, _CHUNK))
    with open(path, "wb") as file:
        for start in range(0, size, _CHUNK):
            file.write(chunk[: size - start])
        file.flush()
        os.fsync(file.fileno())
    os.remove(path)


if __name__ == "__main__":
    main()
