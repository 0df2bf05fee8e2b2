"""Memory while the next version of a model with a large vocabulary of words is loaded beside the one that answers.

The model looks words up in a hash table, and rows under what that says. `dense` is the SavedModel as it was saved, `folded` what
`rewrite` makes of it with `fold_lookups`. Each is in a process of its own, and the next version has the same rows.
"""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import _axes
import _measure
import _models
from _c_session import Signature
from _observed_server import peak_until_heard

from tf_hps.replay.child_process import ChildProcess
from tf_hps.replay.memory import resident_bytes
from tf_hps.saved_model import rewrite

SIZES = {"full": (2_000_000, 16), "medium": (2_000_000, 16), "small": (2_000, 16)}  # words, dim
RELOADS = {"full": 5, "medium": 3, "small": 1}

WORDS = [b"user-0000000000000007", b"nobody"]

_SAVE = """
import sys
import tensorflow as tf
words, embedding_dim = map(int, sys.argv[2:])
names = tf.strings.join(["user-", tf.strings.as_string(tf.range(words, dtype=tf.int64), width=16)])
module = tf.Module()
filler = tf.lookup.KeyValueTensorInitializer(names.numpy(), tf.range(words, dtype=tf.int64).numpy())
module.vocabulary = tf.lookup.StaticHashTable(filler, words)
module.rows = tf.Variable(tf.random.stateless_normal([words + 1, embedding_dim], [1, 2]), name="rows")
look_up = tf.function(lambda words: tf.gather(module.rows, module.vocabulary.lookup(words)))
signature = look_up.get_concrete_function(tf.TensorSpec([None], tf.string, name="words"))
tf.saved_model.save(module, sys.argv[1], signatures=signature)
"""


class Server:
    """A process that has a version loaded, and the MiB it has had."""

    def __init__(self, name: str, stack: contextlib.ExitStack, model: pathlib.Path):
        self._model, self._has_tables = model, name == "folded"
        # Read here: the words would stay in Python's memory there.
        self._signature = Signature(str(model))
        program = str(pathlib.Path(__file__).with_name("_versions.py"))
        self._child = stack.enter_context(contextlib.closing(ChildProcess([program], name)))
        self._version = 0
        self.peaks: list[float] = []
        self.load()
        self.steady = resident_bytes(self._child.pid) / (1 << 20)

    def load(self) -> None:
        """Loads the next version; the former one goes then."""
        self._version += 1
        path = self._model.parent / f"{self._model.name}_server" / str(self._version)
        _models.as_version(self._model, path)
        self._child.tell("load", str(path), self._signature, WORDS, self._has_tables)
        self.peaks.append(peak_until_heard(self._child))
        self._child.hear()


def main() -> None:
    size = _axes.size(__doc__)
    words, embedding_dim = SIZES[size]
    report = _measure.Report(
        "reload_vocabulary", "a version that stays", "while the next version is loaded, over before"
    )
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        models = {kind: folder / kind for kind in ("dense", "folded")}
        arguments = [str(models["dense"]), str(words), str(embedding_dim)]
        subprocess.run([sys.executable, "-c", _SAVE, *arguments], check=True)
        rewrite(models["dense"], models["folded"], check=False, fold_lookups=True)
        for kind, model in models.items():
            server = Server(kind, stack, model)
            for _ in range(RELOADS[size]):
                server.load()
            ratios = [peak / server.steady for peak in server.peaks[1:]]
            report.add_row(
                {
                    "model": kind,
                    "words": f"{words // 1000}k x {embedding_dim}",
                    "ratio": statistics.median(ratios),
                    "lowest": min(ratios),
                    "highest": max(ratios),
                    "before": server.steady,
                    "while": statistics.median(server.peaks[1:]),
                    "first_load": server.peaks[0],
                }
            )
            stack.pop_all().close()
    report.finish()


if __name__ == "__main__":
    main()
