"""The arguments that name a source of rows."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from tf_hps.store import RowSource, from_npy
from tf_hps.store.checkpoint_source import from_checkpoint

if TYPE_CHECKING:
    import keras

EXAMPLES = """\
sources:
  --from rows.npy [--keys keys.npy]         rows [rows, embedding_dim], keys 0 to rows - 1 by default
  --from ckpt/model-1000 --variable NAME    a TensorFlow checkpoint, by its prefix
  --from saved_model --variable NAME        the checkpoint inside of a SavedModel
  --from model.keras --layer NAME           an Embedding of a saved Keras model (imports TensorFlow)
"""


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("source of the rows")
    group.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="PATH",
        help="where the rows come from, see below",
    )
    group.add_argument("--keys", metavar="FILE", help="a .npy file with the keys of a .npy file")
    group.add_argument("--variable", metavar="NAME", help="a variable of a checkpoint")
    group.add_argument("--layer", metavar="NAME", help="an Embedding's name or path in a model")


def open_source(options: argparse.Namespace) -> RowSource:
    """The source that the arguments name."""
    path = options.source
    if options.variable and options.layer:
        raise ValueError(
            "--variable names rows of a checkpoint, --layer of a Keras model: give one"
        )
    if options.keys and (options.variable or options.layer):
        raise ValueError("--keys goes with a .npy file; other sources have the keys 0 to rows - 1")
    if options.variable:
        return from_checkpoint(path, options.variable)
    if options.layer:
        return _from_model(path, options.layer)
    if path.endswith(".npy"):
        return from_npy(path, options.keys)
    raise ValueError(
        f"{path} is not a .npy file: name --variable for a checkpoint or a SavedModel, or --layer for "
        "a Keras model"
    )


def _from_model(path: str, name: str) -> RowSource:
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there")
    import keras

    from tf_hps.store.keras_source import from_keras

    layers = _embeddings(keras.models.load_model(path, compile=False))
    named = {layer.path: layer for layer in layers if name in (layer.name, layer.path)}
    if len(named) == 1:
        return from_keras(named.popitem()[1])
    known = ", ".join(sorted(layer.path for layer in layers)) or "none"
    problem = "more than one Embedding" if named else "no Embedding"
    raise ValueError(f"{path} has {problem} named {name!r}. Its Embeddings: {known}")


def _embeddings(model: "keras.Model") -> list[Any]:
    import keras

    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
