"""SavedModels made by different APIs, and what they answer."""

import keras
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
IDS = tf.TensorSpec([None], tf.int64, name="ids")


def signature_answer(saved_model, **inputs):
    """What `serving_default` answers in a session, as in a server."""
    with tf.Graph().as_default(), v1.Session() as session:
        model = v1.saved_model.load(session, ["serve"], str(saved_model))
        signature = model.signature_def["serving_default"]
        fed = {signature.inputs[name].name: value for name, value in inputs.items()}
        return session.run({k: info.name for k, info in signature.outputs.items()}, fed)


def rows(*shape):
    """Rows that tell their places."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 8


class Everything(tf.Module):
    """Lookups of one variable in every shape of graph, and two variables through one function."""

    def __init__(self):
        super().__init__()
        self.items = tf.Variable(rows(100, 4), name="items")
        self.wide = tf.Variable(rows(60, 6), name="wide")
        self.weights = tf.Variable(rows(4, 3), name="weights")

    @tf.function
    def find(self, table, ids):
        return tf.gather(table, ids)

    @tf.function(input_signature=[IDS])
    def __call__(self, ids):
        sparse = tf.sparse.from_dense(tf.reshape(ids, [-1, 1]))
        found = tf.nn.embedding_lookup(self.items, ids)
        total = tf.zeros([4])
        whole = tf.convert_to_tensor(self.items)
        for i in tf.range(3):
            moved = ids + tf.cast(i, tf.int64)
            total += tf.reduce_sum(tf.gather(whole, moved) + tf.gather(self.items, moved), 0)
        return {
            "found": found @ self.weights,
            "combined": tf.nn.embedding_lookup_sparse(self.items, sparse, None, combiner="mean"),
            "chosen": tf.cond(
                tf.size(ids) > 3,
                lambda: tf.gather(whole, ids),
                lambda: tf.gather(self.items, ids + 1),
            ),
            "total": total,
            "half": tf.gather(tf.cast(self.items, tf.float16), ids),
            "through": self.find(self.items, ids),
            "through_wide": self.find(self.wide, ids % 60),
            "handed_in": self.find(tf.cast(ids, tf.float32), [0]),
            "rows": tf.shape(self.items)[0],
        }


class Tied(tf.Module):
    """Retrieval, as with TensorFlow Recommenders: candidates are looked up and multiplied with."""

    def __init__(self):
        super().__init__()
        self.users = tf.Variable(rows(50, 4), name="users")
        self.candidates = tf.Variable(rows(70, 4), name="candidates")
        self.tiny = tf.Variable(rows(3, 4), name="tiny")

    @tf.function(input_signature=[IDS])
    def __call__(self, ids):
        query = tf.gather(self.users, ids) + tf.gather(self.tiny, ids % 3)
        scores, best = tf.math.top_k(tf.matmul(query, self.candidates, transpose_b=True), k=3)
        return {"scores": scores, "rows": tf.gather(self.candidates, best)}


class Partitioned(tf.Module):
    """Two tables in three parts each, of one strategy each."""

    def __init__(self):
        super().__init__()
        sizes = (34, 33, 33)
        self.by_turns = [
            tf.Variable(rows(n, 4) + i, name=f"by_turns/part_{i}") for i, n in enumerate(sizes)
        ]
        self.in_line = [
            tf.Variable(rows(n, 4) - i, name=f"in_line/part_{i}") for i, n in enumerate(sizes)
        ]

    @tf.function(input_signature=[IDS])
    def __call__(self, ids):
        look_up = v1.nn.embedding_lookup
        return {
            "by_turns": look_up(self.by_turns, ids, partition_strategy="mod"),
            "in_line": look_up(self.in_line, ids, partition_strategy="div"),
        }


def words_model(vocabulary):
    """Strings by way of a vocabulary, and numbers: Keras 3."""
    word = keras.Input((), dtype="string", name="word")
    ids = keras.layers.StringLookup(vocabulary=vocabulary, num_oov_indices=2)(word)
    vectors = keras.layers.Embedding(len(vocabulary) + 2, 4, name="word_rows")(ids)
    return keras.Model(word, keras.layers.Dense(1)(vectors))


def save_v1(path, build):
    """Builds a graph of TensorFlow 1 and saves it with what training left in it."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(3)
        inputs, outputs = build()
        tables = v1.tables_initializer()
        session.run([v1.global_variables_initializer(), tables])
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.predict_signature_def(inputs, outputs)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": signature},
            v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=tables,
        )
        builder.save()


def v1_lookup(use_resource, parts=None):
    """A table with an optimizer's state beside it."""

    def build():
        ids = v1.placeholder(tf.int64, [None], name="ids")
        partitioner = v1.fixed_size_partitioner(parts) if parts else None
        with v1.variable_scope("model", use_resource=use_resource, partitioner=partitioner):
            table = v1.get_variable("items", [40, 4])
        found = v1.nn.embedding_lookup(table, ids, partition_strategy="div")
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(found))
        return {"ids": ids}, {"found": found}

    return build


def v1_feature_columns(vocabulary_file):
    """What an estimator exported: serialized Examples through feature columns."""

    def build():
        columns = tf.feature_column
        embedded = [
            columns.embedding_column(columns.categorical_column_with_identity("user", 50), 8),
            columns.embedding_column(
                columns.categorical_column_with_vocabulary_file(
                    "word", str(vocabulary_file), num_oov_buckets=2
                ),
                4,
            ),
            columns.embedding_column(columns.categorical_column_with_hash_bucket("city", 90), 4),
            columns.numeric_column("age"),
        ]
        examples = v1.placeholder(tf.string, [None], name="examples")
        features = v1.parse_example(examples, columns.make_parse_example_spec(embedded))
        inputs = v1.feature_column.input_layer(features, embedded)
        weights = v1.get_variable("weights", [17, 1])
        return {"examples": examples}, {"rating": tf.matmul(inputs, weights)}

    return build


def example(user, word, city, age):
    made = tf.train.Example()
    made.features.feature["user"].int64_list.value.append(user)
    made.features.feature["word"].bytes_list.value.append(word)
    made.features.feature["city"].bytes_list.value.append(city)
    made.features.feature["age"].float_list.value.append(age)
    return made.SerializeToString()
