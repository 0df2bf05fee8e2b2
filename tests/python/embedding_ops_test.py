"""embedding_lookup and its sparse variants against tf.nn's on a dense variable."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from tables import filled_table, memory_config, rows_of

import tf_hps

VOCABULARY, DIM = 50, 8
COMBINERS = ["mean", "sqrtn", "sum"]


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(7).normal(size=[VOCABULARY, DIM]).astype(np.float32)


@pytest.fixture(scope="module")
def table(rows):
    table = tf_hps.Table("movie_id", memory_config(embedding_dim=DIM))
    table.insert(np.arange(VOCABULARY), rows)
    return table


def random_bags(seed, lengths, first_id=0, dtype=np.int64):
    """Ragged ids and weights; some weights are 0 or below."""
    random = np.random.default_rng(seed)
    n = sum(lengths)
    ids = random.integers(first_id, VOCABULARY, n).astype(dtype)
    weights = random.normal(0.5, 1, n).astype(np.float32)
    weights[random.random(n) < 0.1] = 0
    return (
        tf.RaggedTensor.from_row_lengths(ids, lengths),
        tf.RaggedTensor.from_row_lengths(weights, lengths),
    )


def as_kind(bags, kind):
    if bags is None or kind == "ragged":
        return bags
    return bags.to_sparse()


def axes(**values):
    return [dict(zip(values, case, strict=True)) for case in itertools.product(*values.values())]


class TestDense:
    @pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
    def test_equals_tf_nn(self, table, rows, dtype):
        ids = tf.constant([[1, 49], [0, 1]], dtype)
        for max_norm in [None, 1.5]:
            np.testing.assert_array_equal(
                tf_hps.embedding_lookup(table, ids, max_norm=max_norm),
                tf.nn.embedding_lookup(rows, ids, max_norm=max_norm),
            )

    def test_ragged_ids_give_ragged_rows(self, table, rows):
        ids = tf.ragged.constant([[[1, 2], []], [], [[3]]], dtype=tf.int64)
        found = tf_hps.embedding_lookup(table, ids)
        expected = tf.nn.embedding_lookup(rows, ids)
        assert found.shape.as_list() == expected.shape.as_list() == [3, None, None, DIM]
        assert found.to_list() == expected.to_list()

    def test_in_a_function_of_any_shape(self, table, rows):
        look_up = tf.function(
            lambda ids: tf_hps.embedding_lookup(table, ids),
            input_signature=[tf.TensorSpec(None, tf.int32)],
        )
        for ids in [3, [], [[1], [2]]]:
            ids = tf.constant(ids, tf.int32)
            np.testing.assert_array_equal(look_up(ids), tf.gather(rows, ids))

    def test_narrow_integers_are_widened(self, table, rows):
        ids = tf.constant([1, 49], tf.uint8)
        np.testing.assert_array_equal(tf_hps.embedding_lookup(table, ids), rows[[1, 49]])

    def test_the_table_s_dtype(self):
        table = filled_table([1], dtype="float16")
        assert tf_hps.embedding_lookup(table, [1]).dtype == tf.float16

    def test_ids_above_32_bits(self):
        table = filled_table([2**32 + 5, 2**40])
        ids = tf.constant([2**32 + 5, 5, 2**40, 2**40 + 1], tf.int64)
        found = tf_hps.embedding_lookup(table, ids).numpy()
        np.testing.assert_array_equal(found[[0, 2]], rows_of([2**32 + 5, 2**40]))
        np.testing.assert_array_equal(found[[1, 3]], np.zeros([2, 4]))

    def test_other_ids_are_refused(self, table, rows):
        with pytest.raises(
            TypeError, match=r"integers of at most 64 bits, or strings. Received: float32"
        ):
            tf_hps.embedding_lookup(table, [1.0])
        with pytest.raises(TypeError, match=r"embedding_lookup_sparse takes a SparseTensor"):
            tf_hps.embedding_lookup(table, tf.sparse.from_dense([1]))
        np.testing.assert_array_equal(tf_hps.embedding_lookup(table, [1]), rows[[1]])


@pytest.mark.parametrize("kind", ["sparse", "ragged"])
class TestSparse:
    @pytest.mark.parametrize(
        "case",
        axes(combiner=[None, *COMBINERS], weighted=[False, True], max_norm=[None, 2.0]),
        ids=str,
    )
    def test_equals_tf_nn(self, table, rows, kind, case):
        for seed, dtype in enumerate([np.int64, np.int32, np.int64]):
            bags, weights = random_bags(seed, [3, 1, 7, 0, 2, 5], dtype=dtype)
            bags, weights = as_kind(bags, kind), as_kind(weights, kind)
            options = {"combiner": case["combiner"], "max_norm": case["max_norm"]}
            args = (bags, weights if case["weighted"] else None)
            expected = tf.nn.embedding_lookup_sparse(tf.constant(rows), *args, **options)
            found = tf_hps.embedding_lookup_sparse(table, *args, **options)
            # Sums are taken in one order; without weights bit for bit.
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=f"{seed}")
        function = tf.function(tf_hps.embedding_lookup_sparse)
        np.testing.assert_array_equal(function(table, *args, **options), found)

    def test_empty_bags_at_the_end_are_missing_as_in_tf_nn(self, table, rows, kind):
        bags = as_kind(tf.ragged.constant([[1], [], [2], [], []], dtype=tf.int64), kind)
        expected = tf.nn.embedding_lookup_sparse(tf.constant(rows), bags, None, combiner="sum")
        found = tf_hps.embedding_lookup_sparse(table, bags, None, combiner="sum")
        assert found.shape.as_list() == [3, DIM]
        np.testing.assert_array_equal(found, expected)

    def test_gradients_reach_the_weights(self, table, rows, kind):
        bags, weights = random_bags(5, [2, 3, 1])

        def gradient(look_up, params):
            values = tf.Variable(tf.abs(weights.values) + 0.1)
            with tf.GradientTape() as tape:
                combined = look_up(
                    params,
                    as_kind(bags, kind),
                    bags.with_values(values)
                    if kind == "ragged"
                    else tf.SparseTensor(bags.to_sparse().indices, values, [3, 3]),
                )
                loss = tf.reduce_sum(combined**2)
            return tape.gradient(loss, values)

        np.testing.assert_allclose(
            gradient(tf_hps.embedding_lookup_sparse, table),
            gradient(tf.nn.embedding_lookup_sparse, tf.constant(rows)),
            rtol=1e-5,
        )

    @pytest.mark.parametrize(
        "case",
        axes(
            combiner=COMBINERS,
            weighted=[False, True],
            max_norm=[None, 2.0],
            default_id=[None, 0, 7],
        ),
        ids=str,
    )
    def test_safe_equals_tf_nn(self, table, rows, kind, case):
        options = {name: value for name, value in case.items() if name != "weighted"}
        for seed, lengths in enumerate([[3, 0, 7, 1, 0], [0, 0], [1, 1, 9]]):
            bags, weights = random_bags(seed, lengths, first_id=-15)
            args = (as_kind(bags, kind), as_kind(weights, kind) if case["weighted"] else None)
            expected = tf.nn.safe_embedding_lookup_sparse(tf.constant(rows), *args, **options)
            found = tf_hps.safe_embedding_lookup_sparse(table, *args, **options)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=f"{seed}")
        function = tf.function(tf_hps.safe_embedding_lookup_sparse)
        np.testing.assert_array_equal(function(table, *args, **options), found)

    def test_half_types_are_summed_in_float32(self, kind):
        half = tf_hps.Table("movie_id", memory_config(row_format="float16"), dtype="float16")
        half.insert(np.arange(VOCABULARY), rows_of(np.arange(VOCABULARY)) / 7)
        rows = tf_hps.embedding_lookup(half, np.arange(VOCABULARY))
        bags, weights = random_bags(3, [30, 20])
        args = (as_kind(bags, kind), as_kind(weights, kind))
        expected = tf.nn.embedding_lookup_sparse(rows, *args, combiner="sum")
        found = tf_hps.embedding_lookup_sparse(half, *args, combiner="sum")
        assert found.dtype == tf.float16
        np.testing.assert_array_equal(found, expected)

    def test_arguments_that_do_not_fit(self, table, rows, kind):
        bags, weights = random_bags(1, [2, 1])
        bags, weights = as_kind(bags, kind), as_kind(weights, kind)
        for look_up in [tf_hps.embedding_lookup_sparse, tf_hps.safe_embedding_lookup_sparse]:
            with pytest.raises(ValueError, match=r"`combiner` is one of .* combiner='max'"):
                look_up(table, bags, weights, combiner="max")
            with pytest.raises(
                TypeError, match=r"a SparseTensor or a RaggedTensor. Received: .*Tensor"
            ):
                look_up(table, tf.constant([[1, 2]]), None)
            other = as_kind(random_bags(1, [2, 1])[1], "ragged" if kind == "sparse" else "sparse")
            with pytest.raises(TypeError, match=r"weights are None or a"):
                look_up(table, bags, other)
            with pytest.raises(ValueError, match=r"ids and weights have one shape"):
                look_up(table, bags, as_kind(random_bags(1, [2, 1, 1])[1], kind))
        found = tf_hps.embedding_lookup_sparse(table, bags, None, combiner="sum")
        np.testing.assert_allclose(
            found, tf.nn.embedding_lookup_sparse(tf.constant(rows), bags, None, combiner="sum")
        )

    def test_one_weight_is_not_broadcast_over_all_ids(self, table, kind):
        bags, _ = random_bags(1, [2, 1])
        few = tf.RaggedTensor.from_row_splits([1.0], [0, 1, 1])
        args = as_kind(bags, kind), as_kind(few, kind)
        if kind == "sparse":  # of the same dense shape
            args = args[0], tf.SparseTensor([[0, 0]], [1.0], [2, 2])
        for look_up in [tf_hps.embedding_lookup_sparse, tf_hps.safe_embedding_lookup_sparse]:
            for call in [look_up, tf.function(look_up)]:
                with pytest.raises(tf.errors.InvalidArgumentError, match=r"ids and weights differ"):
                    call(table, *args)


def test_safe_takes_sparse_ids_of_any_rank(table, rows):
    ids = tf.SparseTensor(
        [[0, 0, 0], [0, 0, 1], [0, 2, 0], [1, 1, 1]],
        tf.constant([1, 2, 3, -1], tf.int64),
        [2, 3, 2],
    )
    expected = tf.nn.safe_embedding_lookup_sparse(tf.constant(rows), ids, combiner="sum")
    found = tf_hps.safe_embedding_lookup_sparse(table, ids, combiner="sum")
    assert found.shape.as_list() == [2, 3, DIM]
    np.testing.assert_array_equal(found, expected)


def test_ids_that_disagree_with_their_shape(table, rows):
    # A row_splits that ends behind the values, unvalidated.
    splits = tf.RaggedTensor.from_row_splits(
        tf.constant([1, 2], tf.int64), tf.constant([0, 1, 5], tf.int64), validate=False
    )
    for look_up in [tf_hps.embedding_lookup_sparse, tf_hps.safe_embedding_lookup_sparse]:
        with pytest.raises(
            (ValueError, tf.errors.InvalidArgumentError), match=r"row_splits\[2\] = 5|\] = 5 "
        ):
            look_up(table, splits, None)
    # Indices out of order.
    ids = tf.SparseTensor([[1, 0], [0, 0]], tf.constant([1, 2], tf.int64), [2, 1])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"segment_ids ascend .* segment_ids\[1\] = 0 after 1"
    ):
        tf_hps.embedding_lookup_sparse(table, ids, None)
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, [1]), rows[[1]])


class TestGroup:
    def test_equals_lookups_one_by_one(self, table, rows):
        wide = filled_table(np.arange(200))
        tables = {"a": table, "b": wide, "again": table}
        ids = {
            "a": tf.constant([[1, 49], [0, 1]], tf.int32),
            "b": tf.ragged.constant([[5, 199], [], [-1]], dtype=tf.int64),
            "again": tf.zeros([0, 3], tf.int64),
        }
        for look_up in [tf_hps.embedding_lookup_group, tf.function(tf_hps.embedding_lookup_group)]:
            found = look_up(tables, ids)
            assert list(found) == list(tables)
            for name in tables:
                expected = tf_hps.embedding_lookup(tables[name], ids[name])
                assert found[name].shape.as_list() == expected.shape.as_list()
                flat = getattr(found[name], "flat_values", found[name])
                np.testing.assert_array_equal(flat, getattr(expected, "flat_values", expected))

    def test_large_batches_are_shared_over_the_threads(self, table, rows):
        ids = {n: np.random.default_rng(n).integers(0, VOCABULARY, 3000 * n) for n in range(1, 5)}
        found = tf_hps.embedding_lookup_group(dict.fromkeys(ids, table), ids)
        for n in ids:
            np.testing.assert_array_equal(found[n], rows[ids[n]])

    def test_tables_of_several_dtypes(self, table, rows):
        half = tf_hps.Table("movie_id", table.config_path, dtype="float16")
        found = tf_hps.embedding_lookup_group(
            {0: half, 1: table, 2: half}, {key: [7] for key in range(3)}
        )
        assert [found[n].dtype.name for n in range(3)] == ["float16", "float32", "float16"]
        np.testing.assert_array_equal(found[2], rows[[7]].astype(np.float16))

    def test_names_that_differ(self, table):
        with pytest.raises(ValueError, match=r"same names. Received: tables=\['a'\], ids=\['b'\]"):
            tf_hps.embedding_lookup_group({"a": table}, {"b": [1]})

    def test_one_bad_table_fails_the_call(self, table, rows):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"embedding_dim 8, .* expects 5"):
            tf_hps.ops.group_lookup([table.resource_handle] * 2, [[1], [2]], [DIM, 5])
        found = tf_hps.embedding_lookup_group({"a": table}, {"a": [1]})
        np.testing.assert_array_equal(found["a"], rows[[1]])


class TestLookupCombine:
    """The op itself; its results are compared above."""

    def combine(self, table, ids, row_splits, weights=None, combiner="sum"):
        return tf_hps.ops.lookup_combine(
            table.resource_handle,
            tf.constant(ids, tf.int64),
            tf.constant(row_splits, tf.int64),
            weights,
            DIM,
            combiner,
        )

    def test_long_and_empty_bags(self, table, rows):
        random = np.random.default_rng(3)
        lengths = [0, 5000, 0, 0, 1, 700, 2, 0, *random.integers(0, 30, 400).tolist()]
        ids = random.integers(0, VOCABULARY, sum(lengths))
        splits = np.concatenate([[0], np.cumsum(lengths)])
        found = self.combine(table, ids, splits)
        expected = [rows[ids[a:b]].astype(np.float64).sum(0) for a, b in itertools.pairwise(splits)]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_no_bags(self, table):
        assert self.combine(table, [], [0]).shape == [0, DIM]

    @pytest.mark.parametrize(
        "row_splits, message",
        [
            ([], r"row_splits have shape \[bags \+ 1\]"),
            ([1, 2], r"row_splits begin at 0. Received: row_splits\[0\] = 1"),
            ([0, 2, 1, 2], r"row_splits\[1\] = 2, row_splits\[2\] = 1"),
            ([0, 1], r"end at the number of ids, 2. Received: row_splits\[1\] = 1"),
            ([0, 2**40], r"end at the number of ids, 2"),
        ],
    )
    def test_bad_row_splits(self, table, row_splits, message):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            self.combine(table, [3, 4], row_splits)

    def test_bad_weights(self, table):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"weight for each id"):
            self.combine(table, [3, 4], [0, 2], tf.ones([3]))

    @pytest.mark.parametrize("segments, n", [([0, 2], 2), ([-1], 3), ([1, 0], 2), ([0], -1)])
    def test_bad_segment_ids(self, segments, n):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"segment_ids ascend|not negative"
        ):
            tf_hps.ops.row_splits(tf.constant(segments), n)

    def test_row_splits(self):
        splits = tf_hps.ops.row_splits(tf.constant([1, 1, 3]), 5)
        assert splits.numpy().tolist() == [0, 0, 2, 2, 3, 3]
