"""Publishes rows while Keras trains."""

from collections.abc import Mapping
from typing import Any

import keras

from tf_hps.publish.publisher import Publisher


class PublishRows(keras.callbacks.Callback):
    """Publishes and commits the rows that changed, at the end of epochs or every so many batches.

    Args:
        publisher: where to; it is not closed.
        layers: the Embedding, or variable, of each table, by the table's name.
        every: batches between commits; None commits at the end of each epoch. What the last batches
            of a training changed is committed when it ends.
        watch: whether servers have the rows that the training begins with: those of an export that is
            being trained on. Otherwise the first commit has all rows.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from tf_hps.publish import Publisher
    >>> from tf_hps.publish.keras_callback import PublishRows
    >>> model = keras.Sequential([keras.layers.Embedding(100, 4), keras.layers.Flatten(),
    ...                           keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> with Publisher(tempfile.mkdtemp(), "movies", "9f2c") as publisher:
    ...     publish = PublishRows(publisher, {"movie_id": model.layers[0]})
    ...     history = model.fit(np.zeros((8, 1)), np.ones(8), callbacks=[publish], verbose=0)
    ...     print(publish.published)
    100
    """

    def __init__(
        self,
        publisher: Publisher,
        layers: Mapping[str, Any],
        every: int | None = None,
        watch: bool = False,
    ):
        super().__init__()
        if every is not None and every < 1:
            raise ValueError(
                f"`every` is a number of batches, 1 or more, or None. Received: {every}"
            )
        self._publisher = publisher
        self._layers = dict(layers)
        self._every = every
        self._watch = watch
        self._batches = 0
        self.published = 0

    def on_train_begin(self, logs: Any = None) -> None:
        # Layers that have no rows before the first batch have none that a server could have either.
        if self._watch:
            for table, layer in self._layers.items():
                self._publisher.watch(table, layer)
            self._watch = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if self._every is not None and self._batches % self._every == 0:
            self._commit()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._every is None:
            self._commit()

    def on_train_end(self, logs: Any = None) -> None:
        # An optimizer with averages writes them into the variables when the training ends.
        self._commit()

    def _commit(self) -> None:
        changed = sum(
            self._publisher.publish_changed(table, layer) for table, layer in self._layers.items()
        )
        self.published += changed
        if changed:
            self._publisher.commit()
