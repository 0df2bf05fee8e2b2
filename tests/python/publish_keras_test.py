"""After a fit, whatever the optimizer, the published rows are the trainer's."""

import keras
import numpy as np
import pytest
from segment_server import SegmentServer

from tf_hps.publish import Publisher
from tf_hps.publish.keras_callback import PublishRows

ROWS, DIM = 200, 8


def trained_model(optimizer, regularizer=None):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Embedding(ROWS, DIM, embeddings_regularizer=regularizer),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse")
    model.build((None, 2))
    return model


@pytest.mark.parametrize(
    ("optimizer", "regularizer", "all_rows_change"),
    [
        (lambda: keras.optimizers.SGD(0.1), None, False),
        (lambda: keras.optimizers.SGD(0.1, momentum=0.9), None, False),
        (lambda: keras.optimizers.Adagrad(0.1), None, False),
        (lambda: keras.optimizers.Adam(0.1), None, False),
        (lambda: keras.optimizers.AdamW(0.1), None, True),
        (lambda: keras.optimizers.Adam(0.1, use_ema=True, ema_overwrite_frequency=2), None, False),
        (lambda: keras.optimizers.Ftrl(0.1), None, None),  # all of them, the first time
        (lambda: keras.optimizers.SGD(0.1), keras.regularizers.L2(0.01), True),
    ],
    ids=["sgd", "momentum", "adagrad", "adam", "adamw", "ema", "ftrl", "l2"],
)
def test_after_a_fit_servers_have_the_trainers_rows(
    tmp_path, optimizer, regularizer, all_rows_change
):
    model = trained_model(optimizer(), regularizer)
    layer = model.layers[0]
    server = SegmentServer(tmp_path)
    random = np.random.default_rng(0)
    with Publisher(str(tmp_path), "d", "g") as publisher:
        assert publisher.publish_changed("t", layer) == ROWS
        publisher.commit()
        for _ in range(3):
            before = layer.get_weights()[0]
            model.fit(random.integers(0, 60, (20, 2)), random.random(20), batch_size=5, verbose=0)
            after = layer.get_weights()[0]
            changed = publisher.publish_changed("t", layer)
            assert changed == (before.view(np.int32) != after.view(np.int32)).any(axis=1).sum()
            if all_rows_change is not None:
                assert (changed == ROWS) == all_rows_change
            publisher.commit()
            np.testing.assert_array_equal(server.catch_up().rows("t"), after)


@pytest.mark.parametrize(("every", "commits"), [(None, 2), (3, 3), (100, 1)])
def test_the_callback_commits_while_it_trains(tmp_path, every, commits):
    model = trained_model(keras.optimizers.SGD(0.1))
    layer = model.layers[0]
    before = layer.get_weights()[0]
    random = np.random.default_rng(0)
    with Publisher(str(tmp_path), "d", "g") as publisher:
        publish = PublishRows(publisher, {"t": layer}, every=every, watch=True)
        model.fit(
            *(random.integers(0, 60, (20, 2)), random.random(20)),
            batch_size=5,
            epochs=2,
            callbacks=[publish],
            verbose=0,
        )
    server = SegmentServer(tmp_path).catch_up()
    assert len(list(tmp_path.iterdir())) == commits
    assert publish.published == sum(len(frame.keys) for frame in server.frames)
    for key, row in server.tables["t"].items():
        before[key] = row
    np.testing.assert_array_equal(before, layer.get_weights()[0])


def test_the_callback_refuses_no_batches(tmp_path):
    with pytest.raises(ValueError, match="`every` is a number of batches"):
        PublishRows(Publisher(str(tmp_path), "d", "g"), {}, every=0)
