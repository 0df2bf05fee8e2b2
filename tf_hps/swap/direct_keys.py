"""Models without the HpsKeys whose keys the layers behind them make themselves."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree

from tf_hps.layers import HpsEmbedding, HpsKeys
from tf_hps.layers.hps_keys import key_of
from tf_hps.swap.functional_graph import (
    InputsLike,
    ModelLike,
    Rebuilt,
    graph_nodes,
    is_mask_of,
)


def without_keys(model: Any, inputs_like: InputsLike, model_like: ModelLike) -> Any:
    """A functional model like `model` in which HpsEmbeddings get ids, not keys, where they can.

    Masks of what was number 0 of a vocabulary become masks of its key.
    """
    nodes = graph_nodes(model)
    needed = set(map(id, tree.flatten(model._outputs_struct)))
    needed |= {
        id(tensor)
        for node in nodes
        if not isinstance(node.operation, HpsEmbedding)
        for tensor in node.input_tensors
    }
    masks = [node for node in nodes if is_mask_of(node, HpsKeys)]
    gone = [
        node
        for node in nodes
        if isinstance(node.operation, HpsKeys) and id(node.output_tensors[0]) not in needed
    ]
    if not gone and not masks:
        return model
    rebuilt = Rebuilt(model, inputs_like)
    for node in nodes:
        if node in gone:
            rebuilt[node.output_tensors[0]] = rebuilt[node.input_tensors[0]]
        elif node in masks:
            keys = node.input_tensors[0]._keras_history.operation
            mask = keras.ops.not_equal(rebuilt[node.input_tensors[0]], key_of(keys.padding_key))
            rebuilt[node.output_tensors[0]] = mask
        else:
            rebuilt.call([node])
    return rebuilt.model(model_like)


def without_keys_in_line(model: keras.Sequential) -> keras.Sequential:
    """The same of a Sequential model."""
    layers = model._layers
    kept = [
        layer
        for layer, following in zip(layers, [*layers[1:], None], strict=True)
        if not (isinstance(layer, HpsKeys) and isinstance(following, HpsEmbedding))
    ]
    return model if len(kept) == len(layers) else keras.Sequential(kept, name=model.name)
