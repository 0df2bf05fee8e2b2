"""What a swap moved, what it left where it was, and why."""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Sequence

import keras

from tf_hps.aligned_columns import aligned
from tf_hps.store import row_formats
from tf_hps.swap.plan import SwapPlan


@dataclasses.dataclass(frozen=True)
class EmbeddingReport:
    """One Embedding layer of a swapped model.

    `table`, `generation` and `row_format` are empty for a layer that stayed. `keys`: known to a
    vocabulary that went; 0 where none did.
    """

    layer: str
    moved: bool
    why: str
    rows: int
    embedding_dim: int
    bytes: int
    table: str = ""
    generation: str = ""
    row_format: str = ""
    keys: int = 0


@dataclasses.dataclass(frozen=True)
class SwapReport:
    """The outcome of `tf_hps.swap_embeddings`; `print` shows it as a table.

    Attributes:
        store: path of the store that holds the rows.
        embeddings: one `EmbeddingReport` per Embedding layer.
        notes: what the caller should know besides, e.g. that the model has to be compiled again.
    """

    store: str
    embeddings: tuple[EmbeddingReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def moved(self) -> tuple[EmbeddingReport, ...]:
        return tuple(embedding for embedding in self.embeddings if embedding.moved)

    @property
    def stayed(self) -> tuple[EmbeddingReport, ...]:
        return tuple(embedding for embedding in self.embeddings if not embedding.moved)

    def __str__(self) -> str:
        header = ("layer", "rows", "dim", "bytes", "table", "why")
        lines = [header] + [
            (
                embedding.layer,
                f"{embedding.rows:,}",
                str(embedding.embedding_dim),
                f"{embedding.bytes:,}",
                embedding.table if embedding.moved else "(stays)",
                embedding.why,
            )
            for embedding in self.embeddings
        ]
        text = aligned(lines, numbers={1, 2, 3}, rule=True)
        moved = self.moved
        text.append(
            f"{len(moved)} of {len(self.embeddings)} embeddings moved to {self.store}: "
            f"{sum(embedding.rows for embedding in moved):,} rows, "
            f"{sum(embedding.bytes for embedding in moved):,} bytes"
        )
        text.extend(f"note: {note}" for note in self.notes)
        return "\n".join(text)


# Beside the models, not on them: an attribute would be tracked, saved and copied by Keras.
_reports: weakref.WeakKeyDictionary[keras.Layer, SwapReport] = weakref.WeakKeyDictionary()


def remember(model: keras.Layer, report: SwapReport) -> None:
    _reports[model] = report


def swap_report(model: keras.Layer) -> SwapReport:
    """The report of the swap that made `model`.

    Args:
        model: what `tf_hps.swap_embeddings` returned, in this process.

    Example:

    ```python
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(1000, 8)])
    served = tf_hps.swap_embeddings(model, store=tempfile.mkdtemp())
    print(tf_hps.swap_report(served))
    ```
    """
    if model not in _reports:
        raise ValueError(
            "`model` is what `tf_hps.swap_embeddings` returned in this process; it made no report "
            f"for this one. Received: model={model}"
        )
    return _reports[model]


def make_report(
    plan: SwapPlan, store: str, generations: dict[str, str], notes: Sequence[str]
) -> SwapReport:
    moved = [
        EmbeddingReport(
            layer=move.layer.path or move.layer.name,
            moved=True,
            why=move.why,
            rows=move.layer.input_dim,
            embedding_dim=move.layer.output_dim,
            bytes=move.layer.input_dim
            * row_formats.row_bytes(move.row_format, move.layer.output_dim),
            table=move.table,
            generation=generations[move.table],
            row_format=move.row_format,
            keys=0 if move.folding is None else move.folding.known,
        )
        for move in plan.moves
    ]
    stayed = [
        EmbeddingReport(
            layer=stay.layer.path or stay.layer.name,
            moved=False,
            why=stay.why,
            rows=stay.layer.input_dim,
            embedding_dim=stay.layer.output_dim,
            bytes=sum(
                math.prod(variable.shape) * variable.value.dtype.size
                for variable in stay.layer.variables
            ),
        )
        for stay in plan.stays
    ]
    return SwapReport(store, tuple(moved + stayed), tuple(notes))
