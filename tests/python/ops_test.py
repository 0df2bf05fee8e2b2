"""The ops: shapes known before they run, what they answer, and how they refuse."""

import json
import threading

import numpy as np
import pytest
import tensorflow as tf
from tables import filled_table, memory_config, rows_of

import tf_hps
from tf_hps import ops

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
EXTREMES = [INT64_MIN, -(2**32) - 1, -1, 0, 1, 2**32, 2**32 + 1, INT64_MAX]


def shape_of_lookup(ids_shape, handle_shape=(), embedding_dim=4):
    with tf.Graph().as_default():
        handle = tf.compat.v1.placeholder(tf.resource, handle_shape)
        ids = tf.compat.v1.placeholder(tf.int64, ids_shape)
        return ops.lookup(handle, ids, embedding_dim).shape.as_list()


class TestShapes:
    def test_a_lookup_adds_the_embedding_dim(self):
        assert shape_of_lookup([]) == [4]
        assert shape_of_lookup([2, 3]) == [2, 3, 4]
        assert shape_of_lookup([None, 0]) == [None, 0, 4]

    def test_a_lookup_of_unknown_rank_has_unknown_rank(self):
        with tf.Graph().as_default():
            handle = tf.compat.v1.placeholder(tf.resource, ())
            rows = ops.lookup(handle, tf.compat.v1.placeholder(tf.int32), 4)
        assert rows.shape.rank is None

    def test_the_handle_and_the_stats_are_scalars(self):
        with tf.Graph().as_default():
            handle = ops.table_handle()
            assert handle.shape.as_list() == []
            assert ops.table_stats(handle).shape.as_list() == []

    @pytest.mark.parametrize(
        "op",
        [
            lambda handle: ops.lookup(handle, tf.zeros([2], tf.int64), 4),
            lambda handle: ops.table_initialize(handle, "path", "name"),
            lambda handle: ops.table_insert(handle, tf.zeros([2], tf.int64), tf.zeros([2, 4])),
            lambda handle: ops.table_erase(handle, tf.zeros([2], tf.int64)),
            lambda handle: ops.table_stats(handle),
        ],
    )
    def test_a_handle_that_is_no_scalar_is_refused(self, op):
        with tf.Graph().as_default():
            handles = tf.compat.v1.placeholder(tf.resource, [2])
            with pytest.raises(ValueError, match=r"Shape must be rank 0 but is rank 1"):
                op(handles)

    @pytest.mark.parametrize(
        ("keys", "rows", "message"),
        [
            ([], [1, 4], "Shape must be rank 1 but is rank 0"),
            ([2, 1], [2, 4], "Shape must be rank 1 but is rank 2"),
            ([2], [2], "Shape must be rank 2 but is rank 1"),
            ([2], [3, 4], "Dimensions must be equal, but are 2 and 3"),
        ],
    )
    def test_keys_and_rows_that_do_not_fit_are_refused(self, keys, rows, message):
        with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
            ops.table_insert(ops.table_handle(), tf.zeros(keys, tf.int64), tf.zeros(rows))

    def test_other_bad_shapes_are_refused(self):
        with tf.Graph().as_default():
            handle = ops.table_handle()
            with pytest.raises(ValueError, match=r"Shape must be rank 1 but is rank 0"):
                ops.table_erase(handle, tf.zeros([], tf.int64))
            with pytest.raises(ValueError, match=r"Shape must be rank 0 but is rank 1"):
                ops.table_initialize(handle, tf.constant(["a", "b"]), "name")
            with pytest.raises(
                ValueError, match=r"'embedding_dim' .* passed 0 less than minimum 1"
            ):
                ops.lookup(handle, tf.zeros([2], tf.int64), 0)


class TestLookup:
    @pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
    def test_rows_of_stored_ids_and_zeros_for_others(self, dtype):
        table = filled_table([1, 2, 3])
        rows = ops.lookup(table.resource_handle, tf.constant([[3, 1], [99, 2]], dtype), 4)
        expected = rows_of([[3, 1], [99, 2]])
        expected[1, 0] = 0
        np.testing.assert_array_equal(rows, expected)

    @pytest.mark.parametrize("shape", [[0], [3, 0], [0, 5, 2]])
    def test_empty_ids_keep_their_shape(self, shape):
        table = filled_table([1])
        rows = ops.lookup(table.resource_handle, tf.zeros(shape, tf.int64), 4)
        assert rows.shape.as_list() == [*shape, 4]

    def test_a_scalar_id(self):
        table = filled_table([7])
        np.testing.assert_array_equal(
            ops.lookup(table.resource_handle, tf.constant(7), 4), [7, 7.25, 7.5, 7.75]
        )

    def test_every_int64_may_have_a_row(self):
        table = filled_table(EXTREMES)
        ids = tf.constant([*EXTREMES, INT64_MIN + 1, INT64_MAX - 1, -2, 2**32 - 1], tf.int64)
        rows = ops.lookup(table.resource_handle, ids, 4).numpy()
        np.testing.assert_array_equal(rows[: len(EXTREMES)], rows_of(EXTREMES))
        np.testing.assert_array_equal(rows[len(EXTREMES) :], np.zeros([4, 4]))

    @pytest.mark.parametrize("n", [1, 511, 1024, 1025, 20_000])
    def test_batches_of_every_size_are_answered_in_order(self, n):
        # Above some size a batch is shared over threads.
        table = filled_table(np.arange(0, 30_000, 2))
        ids = np.random.default_rng(n).integers(0, 30_000, n)
        expected = np.where((ids % 2 == 0)[:, np.newaxis], rows_of(ids), 0)
        np.testing.assert_array_equal(ops.lookup(table.resource_handle, ids, 4), expected)

    @pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
    @pytest.mark.parametrize("row_format", ["float32", "float16", "bfloat16", "int8"])
    def test_rows_are_converted_to_the_output_type(self, row_format, dtype):
        table = filled_table([1, 2], memory_config(row_format=row_format))
        rows = ops.lookup(table.resource_handle, tf.constant([2, 1, 5]), 4, dtype)
        assert rows.dtype == dtype
        expected = [[2, 2.25, 2.5, 2.75], [1, 1.25, 1.5, 1.75], [0, 0, 0, 0]]
        tolerance = 0.5 * 2.75 / 127 + 2.75 / 256 if row_format == "int8" else 0
        np.testing.assert_allclose(tf.cast(rows, tf.float32), expected, rtol=0, atol=tolerance)

    def test_many_threads_at_once(self):
        table = filled_table(np.arange(5000))
        wrong = []

        def look_up(seed):
            random = np.random.default_rng(seed)
            for _ in range(20):
                ids = random.integers(0, 5000, 3000)
                if not np.array_equal(ops.lookup(table.resource_handle, ids, 4), rows_of(ids)):
                    wrong.append(seed)

        threads = [threading.Thread(target=look_up, args=[seed]) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_no_gradient_flows_into_rows_but_through_them(self):
        table = filled_table([1, 2])
        weight = tf.Variable(2.0)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weight * ops.lookup(table.resource_handle, tf.constant([1, 2]), 4))
        assert tape.gradient(loss, weight).numpy() == rows_of([1, 2]).sum()

    def test_lookups_are_not_put_in_one_line_and_unused_ones_do_not_run(self):
        table = filled_table([1])

        @tf.function
        def look_up(ids):
            ops.lookup(table.resource_handle, ids + 1, 4)  # nobody uses it
            first = ops.lookup(table.resource_handle, ids, 4)
            return first, ops.lookup(table.resource_handle, ids + 2, 4)

        graph = look_up.get_concrete_function(tf.TensorSpec([1], tf.int64)).graph
        lookups = [op for op in graph.get_operations() if op.type == "HpsLookup"]
        assert [op.control_inputs for op in lookups] == [[], [], []]
        before = table.stats()["lookups"]
        look_up(tf.constant([1], tf.int64))
        assert table.stats()["lookups"] == before + 2

    def test_a_lookup_after_an_insert_in_one_function_sees_the_row(self):
        table = filled_table([1])

        @tf.function
        def insert_and_look_up():
            ops.table_insert(table.resource_handle, tf.constant([5], tf.int64), tf.ones([1, 4]))
            inserted = ops.lookup(table.resource_handle, tf.constant([5]), 4)
            ops.table_erase(table.resource_handle, tf.constant([5], tf.int64))
            return inserted, ops.lookup(table.resource_handle, tf.constant([5]), 4)

        inserted, erased = insert_and_look_up()
        assert inserted.numpy().tolist() == [[1, 1, 1, 1]]
        assert erased.numpy().tolist() == [[0, 0, 0, 0]]

    def test_constant_ids_are_not_folded_into_constant_rows(self):
        table = filled_table([1])
        look_up = tf.function(lambda: ops.lookup(table.resource_handle, tf.constant([1]), 4))
        assert look_up().numpy().tolist() == [[1, 1.25, 1.5, 1.75]]
        table.insert([1], [[9, 9, 9, 9]])
        assert look_up().numpy().tolist() == [[9, 9, 9, 9]]

    def test_in_a_tf_data_map(self):
        table = filled_table(np.arange(100))
        dataset = tf.data.Dataset.range(100).batch(10)
        dataset = dataset.map(
            lambda ids: ops.lookup(table.resource_handle, ids, 4), num_parallel_calls=4
        )
        np.testing.assert_array_equal(np.concatenate(list(dataset)), rows_of(np.arange(100)))

    def test_jit_compilation_is_refused_in_words(self):
        table = filled_table([1])
        look_up = tf.function(
            lambda ids: ops.lookup(table.resource_handle, ids, 4), jit_compile=True
        )
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"HpsLookup"):
            look_up(tf.constant([1]))


class TestErrors:
    """Each one is followed by a good call."""

    @pytest.fixture
    def table(self):
        table = filled_table([1, 2])
        yield table
        rows = ops.lookup(table.resource_handle, tf.constant([1, 2]), 4)
        np.testing.assert_array_equal(rows, rows_of([1, 2]))
        assert len(table) == 2

    def test_a_handle_without_a_table(self, table):
        handle = ops.table_handle(shared_name="never-initialized")
        for op in [
            lambda: ops.lookup(handle, tf.constant([1]), 4),
            lambda: ops.table_insert(handle, tf.constant([1], tf.int64), tf.ones([1, 4])),
            lambda: ops.table_erase(handle, tf.constant([1], tf.int64)),
            lambda: ops.table_stats(handle),
        ]:
            with pytest.raises(
                tf.errors.FailedPreconditionError,
                match=r'"never-initialized" holds no table: HpsTableInitialize did not run',
            ):
                op()

    def test_a_handle_of_something_else(self, table):
        variable = tf.Variable(1.0)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"handle's resource using the wrong type"
        ):
            ops.lookup(variable.handle, tf.constant([1]), 4)

    def test_another_embedding_dim(self, table):
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r'table "movie_id" has embedding_dim 4, the lookup expects 8',
        ):
            ops.lookup(table.resource_handle, tf.constant([1]), 8)

    def test_rows_of_another_width(self, table):
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r'"movie_id": keys have shape \[n\], rows \[n, 4\]. Received: keys \[1\], rows \[1,3\]',
        ):
            ops.table_insert(table.resource_handle, tf.constant([1], tf.int64), tf.ones([1, 3]))

    def test_wrong_shapes_at_run_time(self, table):
        @tf.function(input_signature=[tf.TensorSpec(None, tf.int64), tf.TensorSpec(None)])
        def insert(keys, rows):
            ops.table_insert(table.resource_handle, keys, rows)

        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"Received: keys \[3\], rows \[2,4\]"
        ):
            insert(tf.constant([1, 2, 3], tf.int64), tf.ones([2, 4]))

        @tf.function(input_signature=[tf.TensorSpec(None, tf.int64)])
        def erase(keys):
            ops.table_erase(table.resource_handle, keys)

        with pytest.raises(tf.errors.InvalidArgumentError, match=r"shape \[n\]. Received: \[1,1\]"):
            erase(tf.constant([[1]], tf.int64))

    def test_ids_of_another_type(self, table):
        with pytest.raises((TypeError, tf.errors.InvalidArgumentError), match=r"float"):
            ops.lookup(table.resource_handle, tf.constant([1.0]), 4)

    def test_another_table_for_a_handle_that_has_one(self, table):
        other = memory_config("user_id")
        with pytest.raises(
            tf.errors.FailedPreconditionError,
            match=r'holds the embedding table "movie_id" .* cannot take the embedding table "user_id"',
        ):
            ops.table_initialize(table.resource_handle, other.path(), "user_id")
        ops.table_initialize(table.resource_handle, table.config_path, "movie_id")  # the same: fine

    def test_an_unknown_table_lists_those_there_are(self, table):
        handle = ops.table_handle(shared_name="unknown-table")
        with pytest.raises(tf.errors.NotFoundError, match=r'no table "genre".*movie_id'):
            ops.table_initialize(handle, table.config_path, "genre")

    def test_a_missing_config_file(self, table):
        handle = ops.table_handle(shared_name="missing-config")
        with pytest.raises(tf.errors.NotFoundError, match=r"/nowhere/hps.json"):
            ops.table_initialize(handle, "/nowhere/hps.json", "movie_id")
        ops.table_initialize(handle, table.config_path, "movie_id")  # a failed try leaves no trace
        assert ops.lookup(handle, tf.constant([1]), 4).numpy()[0, 0] == 1

    def test_ids_outside_the_vocabulary_where_that_is_an_error(self, table):
        config = memory_config(out_of_range="error", vocabulary_size=10)
        strict = filled_table(np.arange(10), config)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"ids\[2\] = 10 is not in \[0, 10\)"
        ):
            ops.lookup(strict.resource_handle, tf.constant([1, 9, 10]), 4)
        ids = tf.constant([1, 9])
        np.testing.assert_array_equal(ops.lookup(strict.resource_handle, ids, 4), rows_of([1, 9]))
        assert ids.numpy().tolist() == [1, 9]

    def test_wrapped_negatives_leave_the_ids_tensor_alone(self, table):
        config = memory_config(out_of_range="wrap_negatives", vocabulary_size=10)
        wrapping = filled_table(np.arange(10), config)
        ids = tf.constant([-1, 3, -10], tf.int64)
        np.testing.assert_array_equal(
            ops.lookup(wrapping.resource_handle, ids, 4), rows_of([9, 3, 0])
        )
        assert ids.numpy().tolist() == [-1, 3, -10]


def test_stats_are_json():
    table = filled_table([1, 2])
    ops.lookup(table.resource_handle, tf.constant([1, 2, 3]), 4)
    stats = json.loads(ops.table_stats(table.resource_handle).numpy())
    assert (stats["table"], stats["rows"], stats["keys"]) == ("movie_id", 2, 3)
    assert stats["default_rows"] == 1


def test_a_version_1_session_initializes_tables_with_the_others():
    config = memory_config()
    with tf.Graph().as_default():
        table = tf_hps.Table("movie_id", config)
        rows = ops.lookup(table.resource_handle, tf.constant([1]), 4)
        insert = table.insert([1], [[1.0, 2.0, 3.0, 4.0]])
        with tf.compat.v1.Session() as session:
            with pytest.raises(tf.errors.FailedPreconditionError, match=r"holds no table"):
                session.run(rows)
            session.run(tf.compat.v1.tables_initializer())
            session.run(insert)
            assert session.run(rows).tolist() == [[1, 2, 3, 4]]
