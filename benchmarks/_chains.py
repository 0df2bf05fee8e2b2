"""Lookups in a row, as one tf.function. Without tf_hps: peers in environments of their own have none."""

import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable

import numpy as np
import tensorflow as tf

THREADS = 2


def use_two_threads() -> None:
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)


def chain(
    lookup: Callable[[tf.Tensor], tf.Tensor], behind: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A tf.function that looks ids[0], ids[1], ... up, one after the other.

    The call of the function, tens of microseconds, falls on all of them. One element of each result is
    read, so that nothing is pruned; `behind` stands between.
    """

    @tf.function
    def run(ids: tf.Tensor) -> tf.Tensor:
        seen: list[tf.Tensor] = []
        for one in tf.unstack(ids):
            with tf.control_dependencies(seen[-1:]):
                rows = lookup(one)
                seen.append((rows if behind is None else behind(rows))[0, 0])
        return tf.stack(seen)

    return run


def in_turn(run: Callable[[tf.Tensor], object], inputs: list[np.ndarray]) -> Callable[[], object]:
    """Calls `run` with the first input, then with the next, and so on in a circle."""
    following = itertools.cycle([tf.constant(one) for one in inputs])
    return lambda: run(next(following))
