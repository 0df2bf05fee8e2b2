"""A peer in an environment of its own: builds its table, then runs what it is asked for.

Called with a kind, rows and embedding_dim. Reads a line of JSON for each case (ids, batch, lookups,
repeats), then an empty line for each run, and answers every line with one that begins with ANSWER.
"""

import json
import sys
from collections.abc import Callable

import _axes
import _chains
import numpy as np
import tensorflow as tf

INSERTED_AT_ONCE = 1 << 16
# Before each answer: libraries print what they like.
ANSWER = "answer: "


def lookup_of(kind: str, rows: int, embedding_dim: int) -> Callable[[tf.Tensor], tf.Tensor]:
    values = tf.random.stateless_normal((rows, embedding_dim), (1, 2))
    if kind == "tf.nn":
        variable = tf.Variable(values)
        return lambda ids: tf.nn.embedding_lookup(variable, ids)
    import tensorflow_recommenders_addons.dynamic_embedding as de

    table = de.get_variable(
        "t", tf.int64, tf.float32, devices=["/CPU:0"], dim=embedding_dim, init_size=rows
    )
    for begin in range(0, rows, INSERTED_AT_ONCE):
        part = values[begin : begin + INSERTED_AT_ONCE]
        table.upsert(tf.range(begin, begin + part.shape[0], dtype=tf.int64), part)
    probe = tf.constant([0, rows - 1], tf.int64)
    np.testing.assert_array_equal(table.lookup(probe), tf.gather(values, probe))
    return table.lookup


def main() -> None:
    kind, rows, embedding_dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _chains.use_two_threads()
    run = _chains.chain(lookup_of(kind, rows, embedding_dim))
    print(ANSWER + tf.__version__, flush=True)
    call, repeats = None, 1
    for line in sys.stdin:
        if line.strip():
            case = json.loads(line)
            call = _chains.in_turn(run, _axes.fresh_ids(rows, **case["ids"]))
            repeats = case["repeats"]
            call()
        else:
            assert call is not None, "a case comes first"
            for _ in range(repeats):
                call()
        print(ANSWER + "done", flush=True)


if __name__ == "__main__":
    main()
