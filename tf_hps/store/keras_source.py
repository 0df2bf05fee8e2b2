"""Rows of Keras variables and layers."""

from typing import Any

from tf_hps.store.sources import ArraySource, RowSource


def from_keras(layer_or_variable: Any) -> RowSource:
    """The rows of a Keras Embedding, or of a variable [rows, embedding_dim] of Keras or TensorFlow.

    Rows keep the variable's type, whatever the layer computes in. int8 rows of a quantized layer
    move bit for bit; LoRA is merged into the rows, and so is any other quantization.

    Args:
        layer_or_variable: A built `keras.layers.Embedding`, or a variable.
    """
    if not hasattr(layer_or_variable, "input_dim"):
        name = getattr(layer_or_variable, "path", None) or getattr(layer_or_variable, "name", "?")
        return ArraySource(layer_or_variable, description=f"variable {name!r}")
    layer = layer_or_variable
    if not layer.built:
        raise ValueError(f"Layer {layer.name!r} has no rows yet; build it or call it once")
    # Imports Keras, which whoever has a layer has done.
    from tf_hps.store.embedding_rows import EmbeddingRows, exact_row_format

    row_format = exact_row_format(layer)
    if row_format is None:
        raise ValueError(
            f"Layer {layer.name!r} has rows of {layer.variable_dtype}, which no row_format keeps. "
            "Pass its variable, and the row_format they are to become"
        )
    return EmbeddingRows(layer, row_format)
