"""Moves the embeddings of a Keras model into a store."""

from __future__ import annotations

import os
from typing import Any, Literal

import keras

from tf_hps.config import Config, MemoryConfig, RocksdbConfig, TableConfig
from tf_hps.layers import HpsEmbedding, HpsKeys
from tf_hps.progress import Progress
from tf_hps.store import RowSource, StoreWriter, row_formats
from tf_hps.store.embedding_rows import EmbeddingRows
from tf_hps.swap.call_watch import watch_calls
from tf_hps.swap.copy_layer import CannotCopy
from tf_hps.swap.grouping import group_lookups
from tf_hps.swap.plan import Move, SwapPlan, plan_swap
from tf_hps.swap.replacer import LayerReplacer, compile_like
from tf_hps.swap.report import make_report, remember
from tf_hps.swap.vocabulary_watch import watch_vocabularies


def swap_embeddings(
    model: keras.Model,
    store: str | os.PathLike[str],
    *,
    deployment: str = "default",
    min_rows: int = 0,
    row_format: str | None = None,
    memory: MemoryConfig | Literal[False] | None = None,
    read_only: bool = True,
    out_of_range: str = "default_row",
    default_row: str | list[float] | dict[str, int | str] = "zeros",
    fold_lookups: bool = False,
    group: bool = True,
    in_place: bool = False,
    return_report: bool = False,
) -> Any:
    """Moves the rows of every `keras.layers.Embedding` of `model` into a store.

    Returns a model in which `tf_hps.layers.HpsEmbedding` stands in the place of each of them, with the
    same predictions. All other layers are the same objects in both models, so that training one trains the
    other; `model` itself stays as it was, with its rows. Rows that the store has already, from
    an equal model, are not written again.

    What stays in the model, and why, is in the report: ReversibleEmbeddings, rows that are read elsewhere
    (tied weights), tables below `min_rows`, float64 rows. Rows that Keras quantized to int8 move as they
    are, also from int4 with one scale a row; LoRA is merged into the rows.
    Functional and Sequential models are rebuilt by `keras.models.clone_model`; of a subclassed one a second
    object is made. Keras compiles the result again, with a fresh optimizer, where it was compiled.

    Args:
        model: A built Keras 3 model: functional, Sequential or subclassed, with Embeddings in
            attributes, lists, dicts and nested models.
        store: Folder of the RocksDB store; made if it is not there.
        deployment: Name of the deployment. Defaults to `"default"`.
        min_rows: Embeddings with fewer rows stay in the model. Defaults to 0.
        row_format: How rows are stored: `"float32"`, `"float16"`, `"bfloat16"` or `"int8"`. Defaults to
            `None`: so that they stay as they are.
        memory: The memory tier before the store; `False` for none. Defaults to `None`: one that holds all
            rows.
        read_only: Whether the store is opened for reading only, by any number of processes. `False` lets
            this process insert rows. Defaults to `True`.
        out_of_range: What ids outside of the vocabulary get: `"default_row"`, `"error"` as in TensorFlow on
            a CPU, or `"wrap_negatives"` as in Keras. Defaults to `"default_row"`.
        default_row: The row of unknown ids: `"zeros"`, a list of floats, or `{"id": n}`. Defaults to
            `"zeros"`.
        fold_lookups: Whether `StringLookup`s and `IntegerLookup`s go that only feed Embeddings: rows are
            stored under the ids themselves, words under `tf_hps.word_keys`, and the model takes both as
            before. Ids that the vocabulary does not know keep the rows that they had, as default rows, until
            rows of their own are published. Defaults to `False`.
        group: Whether the lookups of a functional model that wait for no other lookup become one op, an
            `HpsEmbeddingGroup` that holds their layers. Defaults to `True`.
        in_place: Whether a subclassed model may be changed itself, and returned. Needed for models that
            cannot be copied. Defaults to `False`.
        return_report: Whether to return `(model, SwapReport)`. Defaults to `False`; `tf_hps.swap_report`
            gives it later.

    Example:

    ```python
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), keras.layers.Embedding(1000, 8), keras.layers.Flatten()]
    )
    served = tf_hps.swap_embeddings(model, store=tempfile.mkdtemp())
    print(tf_hps.swap_report(served))
    served.predict(np.array([[1, 2, 999]]))
    ```
    """
    check_keras_3(model)
    if row_format is not None:
        row_formats.check_row_format(row_format)
    plan = plan_swap(model, min_rows, row_format, fold_lookups)
    moved = [move.layer for move in plan.moves]
    foldings = {id(move.folding.lookup): move.folding for move in plan.moves if move.folding}
    folded = [folding.lookup for folding in foldings.values()]
    targets = moved + folded
    _check_copyable(model, targets, in_place)
    store = os.path.abspath(os.fspath(store))
    generations = _write_rows(plan, store)
    config = Config(
        deployment=deployment,
        memory=MemoryConfig() if memory is None else memory or None,
        rocksdb=RocksdbConfig(path=store, read_only=read_only),
        tables={
            move.table: TableConfig(
                generation=generations[move.table],
                embedding_dim=move.layer.output_dim,
                row_format=move.row_format,
                **_meaning(move, default_row, out_of_range),
            )
            for move in plan.moves
        },
    )
    moves = {id(move.layer): move for move in plan.moves}

    def replaced(layer: Any) -> Any:
        if id(layer) in moves:
            return _lookup(moves[id(layer)], config)
        return HpsKeys(padding_key=foldings[id(layer)].padding_key, name=layer.name)

    replace = LayerReplacer(
        targets,
        replaced,
        in_place,
        group_lookups if group else None,
    )
    served = replace(model)
    notes = list(plan.notes)
    if plan.moves:
        note = compile_like(served, model)
        notes += [note] if note else []
        notes += _still_used(served, moved)
        _check_unused(served, folded)
    report = make_report(plan, store, generations, notes)
    remember(served, report)
    return (served, report) if return_report else served


def check_keras_3(model: Any) -> None:
    """Raises a TypeError in words for anything but a Keras 3 model or layer."""
    if isinstance(model, keras.Layer):
        return
    if any(cls.__module__.split(".")[0] in ("tf_keras", "keras") for cls in type(model).__mro__):
        raise TypeError(
            f"`model` is a model of Keras 3. Received: a {type(model).__name__} of tf_keras (Keras 2), whose "
            "layers Keras 3 cannot rebuild. Save it with `tf.saved_model.save(model, path)` after putting "
            "`tf_hps.embedding_lookup(table, ids)` where it calls its Embeddings; `tf-hps load` writes their "
            "rows from its checkpoint"
        )
    raise TypeError(f"`model` is a Keras model. Received: model={model!r} of type {type(model)}")


def _check_copyable(model: Any, targets: list[Any], in_place: bool) -> None:
    try:
        LayerReplacer(targets, lambda layer: layer, in_place).check(model)
    except CannotCopy as error:
        raise ValueError(
            f"{error}. With `in_place=True` the model that you pass is changed itself, and needs no copy"
        ) from error


def _write_rows(plan: SwapPlan, store: str) -> dict[str, str]:
    generations: dict[str, str] = {}
    if plan.moves:
        with StoreWriter(store) as writer:
            for move in plan.moves:
                rows: RowSource = EmbeddingRows(move.layer, move.row_format, move.autocast)
                if move.folding is not None:
                    rows = move.folding.keyed(rows)
                with Progress(move.table) as progress:
                    generations[move.table] = writer.write_table(
                        move.table, rows, move.row_format, progress
                    )
    return generations


def _still_used(served: Any, moved: list[Any]) -> list[str]:
    return [
        f"`{layer.name}` is still called by an object that a swap does not look into: its rows are in the "
        "table, and in the model too"
        for layer, usage in zip(moved, watch_calls(served, moved) or [], strict=False)
        if usage.autocast or usage.read_outside
    ]


def _check_unused(served: Any, folded: list[Any]) -> None:
    """A vocabulary that is still asked would give numbers where keys are wanted."""
    use = watch_vocabularies(served, folded, [], []) if folded else None
    for lookup in folded:
        if use is not None and use.was_called(lookup):
            raise ValueError(
                f"`{lookup.name}` is still called by an object that a swap does not look into, so its "
                "vocabulary cannot go: pass fold_lookups=False"
            )


def _meaning(move: Move, default_row: Any, out_of_range: str) -> dict[str, Any]:
    """What ids get that have no row."""
    if move.folding is not None:
        return {"out_of_range": "default_row", "default_row": move.folding.default_row()}
    return {
        "out_of_range": out_of_range,
        "default_row": default_row,
        "vocabulary_size": move.layer.input_dim,
    }


def _lookup(move: Move, config: Config) -> HpsEmbedding:
    layer = move.layer
    # The policy without its quantization, which is the table's business; see Move.output_dtype.
    policy: Any = keras.DTypePolicy(layer.dtype_policy.name.split("_from_")[-1])
    if policy.compute_dtype != move.output_dtype:
        policy = move.output_dtype
    return HpsEmbedding(
        config=config,
        table_name=move.table,
        mask_zero=layer.mask_zero,
        padding_key=0 if move.folding is None else move.folding.padding_key,
        name=layer.name,
        dtype=policy,
        activity_regularizer=layer.activity_regularizer,
    )
