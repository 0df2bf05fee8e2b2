"""Which vocabularies of a Keras model go, and with which Embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras.src.models.functional import Functional

from tf_hps.swap.functional_graph import graph_nodes, is_mask_of
from tf_hps.swap.functions import function_that_holds
from tf_hps.swap.vocabularies import VOCABULARIES, CannotFold, Folding, check_foldable, fold
from tf_hps.swap.vocabulary_watch import VocabularyUse, watch_vocabularies


def plan_folding(
    model: Any, layers: Sequence[Any], moving: Sequence[Any]
) -> tuple[dict[int, Folding], dict[str, str]]:
    """Looks for vocabularies that only feed Embeddings.

    Args:
        model: The model.
        layers: All of its layers.
        moving: The Embeddings that become tables.

    Returns:
        What becomes of these, by their ids, and why vocabularies stay, by their names.
    """
    lookups = [layer for layer in layers if isinstance(layer, VOCABULARIES)]
    if not lookups:
        return {}, {}
    embeddings = [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]
    masks = {id(lookup): _masks(lookup, layers) for lookup in lookups}
    operations = [mask for of_lookup in masks.values() for mask in of_lookup]
    use = watch_vocabularies(model, lookups, embeddings, operations)
    if use is None:
        return {}, {lookup.name: "the model could not be traced" for lookup in lookups}
    foldings: dict[int, Folding] = {}
    stay: dict[str, str] = {}
    for lookup in lookups:
        try:
            foldings.update(_fold_with_all(lookup, layers, moving, masks[id(lookup)], use))
        except CannotFold as error:
            stay[lookup.name] = str(error)
    return foldings, stay


def _masks(lookup: Any, layers: Sequence[Any]) -> list[Any]:
    """The operations of functional models that mask number 0 of the vocabulary."""
    # A Sequential model calls a functional one that it has made.
    models = [getattr(layer, "_functional", None) or layer for layer in layers]
    return [
        node.operation
        for model in models
        if isinstance(model, Functional)
        for node in graph_nodes(model)
        if is_mask_of(node, type(lookup))
        and node.input_tensors[0]._keras_history.operation is lookup
    ]


def _fold_with_all(
    lookup: Any,
    layers: Sequence[Any],
    moving: Sequence[Any],
    masks: Sequence[Any],
    use: VocabularyUse,
) -> dict[int, Folding]:
    check_foldable(lookup)
    if not use.was_called(lookup):
        raise CannotFold("the model was traced without it")
    for other in layers:
        holder = "" if other is lookup else function_that_holds(lookup, other)
        if holder:
            raise CannotFold(holder)
    fed = [embedding for embedding in moving if id(lookup) in use.lookups_of(embedding)]
    for embedding in fed:
        if use.lookups_of(embedding) != {id(lookup)}:
            raise CannotFold(f"`{embedding.name}` gets other numbers too")
    foldings = {id(embedding): fold(lookup, embedding) for embedding in fed}
    others = use.other_use(lookup, fed if lookup.mask_token is None else [*fed, *masks])
    if others:
        raise CannotFold(others)
    return foldings
