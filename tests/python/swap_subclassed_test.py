"""Subclassed models with embeddings in attributes, lists, dicts and nested models."""

import collections
import functools

import keras
import numpy as np
import pytest
from keras_models import Dlrm, assert_same_values, dlrm_batch, values

import tf_hps
from tf_hps.layers import HpsEmbedding


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def dlrm():
    keras.utils.set_random_seed(3)
    model = Dlrm()
    model(dlrm_batch())
    return model


def lookups(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, HpsEmbedding)]


def test_dlrm_predicts_as_before(store, dlrm):
    batch = dlrm_batch()
    before = values(dlrm)
    served, report = tf_hps.swap_embeddings(dlrm, store, return_report=True)
    assert type(served) is Dlrm and served is not dlrm
    np.testing.assert_array_equal(served.predict(batch, verbose=0), dlrm.predict(batch, verbose=0))
    assert len(report.moved) == len(lookups(served)) == 5
    assert_same_values(before, values(dlrm))
    assert lookups(dlrm) == []


def test_dlrm_passed_in_still_trains_its_embeddings(store, dlrm):
    batch, targets = dlrm_batch(), np.ones((16, 1), np.float32)
    dlrm.compile("sgd", "mse")
    dlrm.fit(batch, targets, verbose=0)
    served = tf_hps.swap_embeddings(dlrm, store)
    before = values(dlrm)
    dlrm.fit(batch, targets, verbose=0)
    changed = {path for path, value in values(dlrm).items() if (value != before[path]).any()}
    assert "dlrm/genre/embeddings" in {path.replace(dlrm.name, "dlrm") for path in changed}
    # The rows of the served one are those of the moment of the swap.
    rows = served.by_name["genre"](np.arange(10))
    np.testing.assert_array_equal(rows, before[f"{dlrm.name}/genre/embeddings"])


def test_dlrm_fine_tunes_what_is_not_in_tables(store, dlrm):
    batch, targets = dlrm_batch(), np.ones((16, 1), np.float32)
    dlrm.compile("sgd", "mse", metrics=["mae"])
    served = tf_hps.swap_embeddings(dlrm, store)
    assert served.compiled
    weights = {weight.path for weight in served.trainable_weights}
    assert weights == {w.path for w in dlrm.trainable_weights if "embeddings" not in w.path}
    losses = served.fit(batch, targets, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_lists_dicts_and_sequentials_hold_the_lookups(store, dlrm):
    served = tf_hps.swap_embeddings(dlrm, store)
    assert [type(layer) for layer in served.embedding_layers] == [HpsEmbedding] * 3
    assert isinstance(served.by_name["genre"], HpsEmbedding)
    assert isinstance(served.city.layers[0], HpsEmbedding)
    assert served.city.layers[1] is dlrm.city.layers[1]
    assert served.top_mlp is dlrm.top_mlp
    assert [layer.name for layer in served.layers] == [layer.name for layer in dlrm.layers]


def test_in_place_changes_the_model_itself(store, dlrm):
    batch = dlrm_batch()
    expected = np.array(dlrm(batch))
    dlrm.compile("sgd", "mse")
    dlrm.fit(batch, np.ones((16, 1)), verbose=0)
    expected = np.array(dlrm(batch))
    served = tf_hps.swap_embeddings(dlrm, store, in_place=True)
    assert served is dlrm
    np.testing.assert_array_equal(served(batch), expected)
    np.testing.assert_array_equal(served.predict(batch, verbose=0), expected)
    assert len(lookups(dlrm)) == 5
    assert not any("embeddings" in weight.path for weight in dlrm.weights)
    dlrm.fit(batch, np.ones((16, 1)), verbose=0)


Pair = collections.namedtuple("Pair", ["left", "right"])


class Tower(keras.layers.Layer):
    """State of every kind: a weight, a late sublayer, a bound method, containers in containers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pair = Pair(keras.layers.Embedding(7, 4, name="left"), None)
        self.tree = {"deep": [(keras.layers.Embedding(7, 4, name="deep"), 3)]}
        self.late = []
        self.dense = keras.layers.Dense(4)
        self.late.append(keras.layers.Embedding(7, 4, name="late"))
        self.scale_by = self.scaled

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")

    def scaled(self, rows):
        return rows * self.scale

    def call(self, ids):
        rows = self.pair.left(ids) + self.tree["deep"][0][0](ids) + self.late[0](ids)
        return self.scale_by(self.dense(rows))


class Wrapped(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        ids = keras.Input((None,), dtype="int32")
        self.towers = keras.Model(ids, Tower(name="tower")(ids))
        self.steps = keras.layers.TimeDistributed(keras.layers.Embedding(7, 4, name="steps"))

    def call(self, ids):
        return self.towers(ids) + self.steps(ids[..., None])[:, :, 0]


def test_layers_with_containers_weights_and_methods(store):
    model = Wrapped()
    ids = np.array([[1, 2], [3, 6]])
    expected = np.array(model(ids))
    before = [weight.path for weight in model.weights]
    served, report = tf_hps.swap_embeddings(model, store, return_report=True)
    np.testing.assert_array_equal(served(ids), expected)
    assert len(report.moved) == 4
    assert [w.path for w in served.weights] == [p for p in before if not p.endswith("embeddings")]
    tower = next(layer for layer in served._flatten_layers() if layer.name == "tower")
    original = next(layer for layer in model._flatten_layers() if layer.name == "tower")
    assert tower.scale is original.scale and tower.scale_by.__self__ is tower
    assert isinstance(tower.pair, Pair) and isinstance(tower.tree["deep"][0][0], HpsEmbedding)
    np.testing.assert_array_equal(model(ids), expected)


class HoldsFunctions(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rows = keras.layers.Embedding(7, 4, name="rows")
        self.embed = functools.partial(self.embed_all)

    def embed_all(self, ids):
        return self.rows(ids)

    def call(self, ids):
        return self.embed(ids)


def test_a_model_that_cannot_be_copied_asks_for_in_place(store):
    model = HoldsFunctions()
    ids = np.array([[1, 2]])
    expected = np.array(model(ids))
    with pytest.raises(ValueError, match=r"`embed` is a function that holds .*in_place=True"):
        tf_hps.swap_embeddings(model, store)
    np.testing.assert_array_equal(model(ids), expected)
    served = tf_hps.swap_embeddings(model, store, in_place=True)
    np.testing.assert_array_equal(served(ids), expected)
    assert len(lookups(served)) == 1


class FunctionalSubclass(keras.Model):
    """A functional graph with a class of its own around it."""

    def __init__(self, rows):
        ids = keras.Input((3,), dtype="int32")
        embedding = keras.layers.Embedding(rows, 4, name="rows")
        super().__init__(ids, embedding(ids))
        self.embedding = embedding
        self.label = "kept"

    def first(self, ids):
        return self(ids)[:, 0]


def test_a_functional_subclass_keeps_its_class_and_attributes(store):
    model = FunctionalSubclass(9)
    ids = np.array([[1, 2, 8]])
    served = tf_hps.swap_embeddings(model, store)
    assert type(served) is FunctionalSubclass and served.label == "kept"
    assert isinstance(served.embedding, HpsEmbedding)
    assert served.embedding is served.get_layer("rows")
    np.testing.assert_array_equal(served.first(ids), model.first(ids))


class TiedModel(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tied = keras.layers.Embedding(7, 4, name="tied")
        self.free = keras.layers.Embedding(7, 4, name="free")

    def call(self, ids):
        rows = self.tied(ids) + self.free(ids)
        return keras.ops.matmul(rows, keras.ops.transpose(self.tied.embeddings))


def test_rows_that_call_reads_stay(store):
    model = TiedModel()
    ids = np.array([[1, 2]])
    expected = np.array(model(ids))
    served, report = tf_hps.swap_embeddings(model, store, return_report=True)
    assert [e.table.split("/")[-1] for e in report.moved] == ["free"]
    assert report.stayed[0].why == "`embeddings` is read outside of its call"
    np.testing.assert_array_equal(served(ids), expected)
    assert served.tied is model.tied


class Holder:
    def __init__(self, layer):
        self.layer = layer


class HoldsPlainObject(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rows = keras.layers.Embedding(7, 4, name="rows")
        self.holder = Holder(self.rows)

    def call(self, ids):
        return self.holder.layer(ids)


def test_a_use_that_a_swap_does_not_reach_is_in_the_report(store):
    model = HoldsPlainObject()
    ids = np.array([[1, 2]])
    expected = np.array(model(ids))
    served, report = tf_hps.swap_embeddings(model, store, return_report=True)
    np.testing.assert_array_equal(served(ids), expected)
    assert report.notes[0].startswith("`rows` is still called by an object")


def test_an_unbuilt_subclass_is_refused(store):
    with pytest.raises(ValueError, match="call it once on a batch"):
        tf_hps.swap_embeddings(Dlrm(), store)
