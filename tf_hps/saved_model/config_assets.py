"""The hps.json files of a SavedModel on disk, and the tables its graph uses."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

from tf_hps.saved_model.saved_model_proto import read_saved_model

STORE_FOLDER = "hps"


@dataclasses.dataclass
class ConfigAsset:
    """One hps.json in `assets/`."""

    path: str
    content: dict[str, Any]

    def write(self) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.content, file, indent=2)
            file.write("\n")


def config_assets(saved_model: str) -> list[ConfigAsset]:
    """The configurations of tf_hps among the assets, by what they say: a user may name them freely."""
    folder = os.path.join(saved_model, "assets")
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except (OSError, ValueError):  # A vocabulary, or whatever else a model carries.
            continue
        if isinstance(content, dict) and {"format_version", "deployment"} <= content.keys():
            found.append(ConfigAsset(path, content))
    return found


def tables_used(saved_model: str) -> list[str]:
    """Names of the tables that the SavedModel opens when it is loaded."""
    names = {
        node.attr["table"].s.decode()
        for meta_graph in read_saved_model(saved_model).meta_graphs
        for node in _nodes(meta_graph.graph_def)
        if node.op == "HpsTableInitialize"
    }
    return sorted(names)


def _nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def
