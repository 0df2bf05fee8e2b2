"""Names of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Names that Keras counts up: the same model built again in one process gets others.
_COUNTED = re.compile(r"(sequential|functional)(_\d+)?")
_COUNTED_LAYER = re.compile(r"embedding(_\d+)?")


def table_name(layer: Any, model: Any, taken: Iterable[str]) -> str:
    """A name for the layer's table: its path inside of the model, in the letters that a store allows.

    The same model trained again gets the same names, so that its tables are generations of one name.

    Args:
        layer: a built Embedding.
        model: the model it is in.
        taken: names of the model's other tables.
    """
    *outer, last = (layer.path or layer.name).split("/")
    if outer and outer[0] == model.name:
        outer = outer[1:]
    parts = [part for part in outer if not _COUNTED.fullmatch(part)]
    parts.append("embedding" if _COUNTED_LAYER.fullmatch(last) else last)
    name = "/".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part) for part in parts)
    used, candidate, count = set(taken), name, 1
    while candidate in used:
        count += 1
        candidate = f"{name}-{count}"
    return candidate
