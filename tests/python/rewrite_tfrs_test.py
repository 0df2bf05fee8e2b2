"""A retrieval model of TensorFlow Recommenders, trained and saved by that library, in its Keras 2."""

import os
import subprocess
import sys

import numpy as np
import pytest
from rewrite_models import signature_answer

from tf_hps.saved_model import rewrite

USERS, MOVIES = 300, 120

TRAIN = """
import sys
import numpy as np
import tensorflow as tf
import tf_keras
import tensorflow_recommenders as tfrs

users = [f"user {i}" for i in range(int(sys.argv[2]))]
titles = [f"movie {i}" for i in range(int(sys.argv[3]))]

def tower(words):
    return tf_keras.Sequential(
        [tf_keras.layers.StringLookup(vocabulary=words), tf_keras.layers.Embedding(len(words) + 1, 16)]
    )

class Retrieval(tfrs.Model):
    def __init__(self):
        super().__init__()
        self.users, self.movies = tower(users), tower(titles)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, pairs, training=False):
        return self.task(self.users(pairs["user"]), self.movies(pairs["movie"]))

tf_keras.utils.set_random_seed(1)
random = np.random.default_rng(1)
pairs = {"user": random.choice(users, 2000), "movie": random.choice(titles, 2000)}
model = Retrieval()
model.compile(optimizer=tf_keras.optimizers.Adagrad(0.1))
model.fit(tf.data.Dataset.from_tensor_slices(pairs).batch(256), verbose=0)
index = tfrs.layers.factorized_top_k.BruteForce(model.users, k=5)
movies = tf.data.Dataset.from_tensor_slices(titles).batch(64)
index.index_from_dataset(tf.data.Dataset.zip((movies, movies.map(model.movies))))
index(tf.constant(users[:1]))
tf.saved_model.save(index, sys.argv[1])
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfrs") / "in"
    subprocess.run(
        [sys.executable, "-c", TRAIN, path, str(USERS), str(MOVIES)],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        check=True,
    )
    return path


@pytest.mark.parametrize("fold", [False, True])
def test_a_retrieval_model(saved, tmp_path, fold):
    report = rewrite(saved, tmp_path / "out", fold_lookups=fold, check=fold)
    assert [(table.rows, table.embedding_dim) for table in report.tables] == [(USERS + 1, 16)]
    # The candidates are multiplied with, all of them.
    assert {tuple(kept.shape) for kept in report.kept} >= {(MOVIES, 16)}
    assert all(check.equal for check in report.checks) and bool(report.checks) == fold
    asked = np.array([b"user 0", b"user 299", b"user 7", b"nobody", b""], object)
    before = signature_answer(saved, input_1=asked)
    after = signature_answer(tmp_path / "out", input_1=asked)
    assert before.keys() == after.keys()
    for name, answer in before.items():
        np.testing.assert_array_equal(answer, after[name])
