"""Models that the tests of swap, export and restore move embeddings of."""

import keras
import numpy as np


def two_table_model(seed=0, name="ratings"):
    """Two ids in, a rating out: functional, with fixed layer names."""
    keras.utils.set_random_seed(seed)
    user = keras.Input((), dtype="int32", name="user")
    movie = keras.Input((), dtype="int64", name="movie")
    rows = [
        keras.layers.Embedding(50, 8, name="user_id")(user),
        keras.layers.Embedding(80, 8, name="movie_id")(movie),
    ]
    hidden = keras.layers.Dense(16, activation="relu", name="hidden")(
        keras.layers.Concatenate()(rows)
    )
    return keras.Model([user, movie], keras.layers.Dense(1, name="rating")(hidden), name=name)


def two_table_batch(size=32, seed=1):
    random = np.random.default_rng(seed)
    return [
        random.integers(0, 50, size).astype(np.int32),
        random.integers(0, 80, size).astype(np.int64),
    ]


@keras.saving.register_keras_serializable(package="tf_hps_tests")
class DotInteraction(keras.layers.Layer):
    """Dot products of all pairs of features."""

    def call(self, features):
        stacked = keras.ops.stack(features, axis=1)
        products = keras.ops.matmul(stacked, keras.ops.transpose(stacked, (0, 2, 1)))
        return keras.ops.reshape(products, (-1, len(features) ** 2))


class Dlrm(keras.Model):
    """Shaped like a deep learning recommendation model: embeddings in a list, a dict and a Sequential."""

    def __init__(self, sizes=(20, 30, 40), embedding_dim=4, **kwargs):
        super().__init__(**kwargs)
        self.embedding_layers = []
        for size in sizes:
            self.embedding_layers.append(keras.layers.Embedding(size, embedding_dim))
        self.by_name = {"genre": keras.layers.Embedding(10, embedding_dim, name="genre")}
        self.city = keras.Sequential(
            [
                keras.layers.Embedding(15, embedding_dim, name="city"),
                keras.layers.Dense(embedding_dim),
            ]
        )
        self.bottom_mlp = keras.Sequential(
            [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(embedding_dim)]
        )
        self.interaction = DotInteraction()
        self.top_mlp = keras.Sequential(
            [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
        )

    def call(self, inputs):
        ids = inputs["ids"]
        features = [self.bottom_mlp(inputs["dense"])]
        for column, layer in enumerate(self.embedding_layers):
            features.append(layer(ids[:, column]))
        features.append(self.by_name["genre"](ids[:, -1]))
        features.append(self.city(ids[:, -1]))
        return self.top_mlp(
            keras.ops.concatenate([features[0], self.interaction(features)], axis=-1)
        )


def dlrm_batch(size=16, seed=1):
    random = np.random.default_rng(seed)
    return {
        "dense": random.normal(size=(size, 3)).astype(np.float32),
        "ids": random.integers(0, 10, (size, 4)).astype(np.int32),
    }


def values(model):
    """Copies of a model's weights, by path."""
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}


def assert_same_values(before, after):
    assert before.keys() == after.keys()
    for path, value in before.items():
        np.testing.assert_array_equal(value, after[path], err_msg=path)
