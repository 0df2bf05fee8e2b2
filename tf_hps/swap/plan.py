"""Which Embedding layers of a model move into a store, under which names, and why the others stay."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tf_hps.store.embedding_rows import describe_rows, exact_row_format, output_dtype
from tf_hps.swap.call_watch import Usage, watch_calls
from tf_hps.swap.fold_plan import plan_folding
from tf_hps.swap.functions import function_that_holds
from tf_hps.swap.table_names import table_name
from tf_hps.swap.vocabularies import Folding

# What a subclass may not have of its own: the rest of the layer is in its rows.
_CALL = ("__call__", "call", "quantized_call", "compute_mask", "embeddings")


@dataclasses.dataclass(frozen=True)
class Move:
    """An Embedding whose rows become a table."""

    layer: Any
    table: str
    row_format: str
    why: str
    # See embedding_rows: decides what Keras makes of quantized rows in mixed precision.
    autocast: str | None
    output_dtype: str
    folding: Folding | None = None  # Its keys, where they are not the numbers of rows.


@dataclasses.dataclass(frozen=True)
class Stay:
    """An Embedding that stays in the model."""

    layer: Any
    why: str


@dataclasses.dataclass(frozen=True)
class SwapPlan:
    moves: tuple[Move, ...]
    stays: tuple[Stay, ...]
    notes: tuple[str, ...]


def plan_swap(
    model: keras.Layer,
    min_rows: int = 0,
    row_format: str | None = None,
    fold_lookups: bool = False,
) -> SwapPlan:
    """Looks at `model` and changes nothing."""
    layers = list({id(layer): layer for layer in model._flatten_layers()}.values())
    embeddings = [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]
    _check_built(model, embeddings)
    moves: list[Move] = []
    stays: list[Stay] = []
    notes: list[str] = []
    usages = watch_calls(model, embeddings) if embeddings else []
    if usages is None:
        notes.append(
            "the model could not be traced with the shapes it was built with, so it is not known whether "
            "rows are read outside of their layers' calls; such a read is an AttributeError now"
        )
    for layer, usage in zip(embeddings, usages or [Usage() for _ in embeddings], strict=True):
        autocast = _autocast(layer, usage)
        fmt = row_format or exact_row_format(layer, autocast)
        why = _why_not(layer, layers, usage, min_rows, fmt)
        if why is not None or fmt is None:
            stays.append(Stay(layer, why or ""))
            continue
        table = table_name(layer, model, [move.table for move in moves])
        dtype = output_dtype(layer, autocast)
        moves.append(Move(layer, table, fmt, describe_rows(layer), autocast, dtype))
    if fold_lookups:
        foldings, why_stay = plan_folding(model, layers, [move.layer for move in moves])
        moves = [
            dataclasses.replace(
                m, folding=f, why=f"{m.why}, by the {f.known:,} keys of `{f.lookup.name}`"
            )
            if (f := foldings.get(id(m.layer)))
            else m
            for m in moves
        ]
        notes += [f"the vocabulary `{name}` stays: {why}" for name, why in why_stay.items()]
    return SwapPlan(tuple(moves), tuple(stays), tuple(notes))


def _check_built(model: keras.Layer, embeddings: list[Any]) -> None:
    unbuilt = [layer.name for layer in embeddings if not layer.built]
    if unbuilt or not model.built:
        what = f"its embeddings {unbuilt} have no rows yet" if unbuilt else "it has no weights yet"
        raise ValueError(
            f"`model` is built before its embeddings move: call it once on a batch, or `model.build(...)`. "
            f"Received: {type(model).__name__} `{model.name}`, {what}"
        )


def _autocast(layer: Any, usage: Usage) -> str | None:
    if usage.autocast:
        return next(iter(usage.autocast))
    return layer.compute_dtype if layer.compute_dtype != layer.variable_dtype else None


def _why_not(
    layer: Any, layers: list[Any], usage: Usage, min_rows: int, row_format: str | None
) -> str | None:
    cls = type(layer)
    if isinstance(layer, keras.layers.ReversibleEmbedding):
        return "a ReversibleEmbedding: its rows are read in reverse too"
    if any(getattr(cls, name) is not getattr(keras.layers.Embedding, name) for name in _CALL):
        return f"{cls.__name__} is an Embedding with a call of its own"
    if layer.input_dim < min_rows:
        return f"fewer than min_rows={min_rows} rows"
    variables = {id(variable) for variable in layer.variables}
    for other in layers:
        if other is layer:
            continue
        own = other._trainable_variables + other._non_trainable_variables
        if any(id(variable) in variables for variable in own):
            return f"its rows are used by `{other.name}` too"
        holder = function_that_holds(layer, other)
        if holder:
            return holder
    if usage.read_outside:
        return f"`{max(usage.read_outside).lstrip('_')}` is read outside of its call"
    if len(usage.autocast) > 1 and layer.quantization_mode:
        return "quantized, and called both inside and outside of mixed precision"
    if row_format is None:
        return f"no row format keeps {layer._embeddings.dtype}: pass row_format"
    return None
