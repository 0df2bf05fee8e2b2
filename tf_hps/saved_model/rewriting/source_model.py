"""The SavedModel that is rewritten: read, and refused where it cannot be."""

from __future__ import annotations

import os
import shutil
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from tf_hps.saved_model.rewriting.objects import CHECKPOINT_KEY, Objects
from tf_hps.saved_model.rewriting.plan import PlannedTable
from tf_hps.store.checkpoint_bundle import CheckpointBundle
from tf_hps.store.checkpoint_copy import copy_checkpoint, read_string
from tf_hps.store.checkpoint_source import from_checkpoint
from tf_hps.store.keyed_source import KeyedSource
from tf_hps.store.partitioned_source import ConcatenatedSource, PartitionedSource
from tf_hps.store.sources import RowSource

_GRAPH = "saved_model.pb"
_VARIABLES = "variables"
# The first is of the graph that was; the second lets Keras build layers anew, whose variables would
# not be found, and keep what they are initialized with.
_NOT_COPIED = ("fingerprint.pb", "keras_metadata.pb")


class SourceModel:
    """A SavedModel on disk. `proto` may be changed; the files stay as they are."""

    def __init__(self, path: str) -> None:
        self.path = path
        file_name = os.path.join(path, _GRAPH)
        if not os.path.isfile(file_name):
            text = " (a saved_model.pbtxt is not read)" if os.path.isfile(file_name + "txt") else ""
            raise FileNotFoundError(
                f"`saved_model_dir` is the folder of a SavedModel, with a {_GRAPH}{text}. "
                f"Received: {path}"
            )
        try:
            with open(file_name, "rb") as file:
                self.proto = saved_model_pb2.SavedModel.FromString(file.read())
        except DecodeError as error:
            raise ValueError(f"{file_name} is no SavedModel, or damaged: {error}") from error
        if not self.proto.meta_graphs:
            raise ValueError(f"{file_name} is no SavedModel: it has no graph")
        self._check_not_rewritten()
        self._prefix = os.path.join(path, _VARIABLES, "variables")
        self.checkpoint: CheckpointBundle | None = None
        checkpointed = trackable_object_graph_pb2.TrackableObjectGraph()
        if os.path.isdir(os.path.join(path, _VARIABLES)):
            self.checkpoint = CheckpointBundle(self._prefix)
            text_graph = read_string(self._prefix, CHECKPOINT_KEY)
            if text_graph is not None:
                checkpointed.ParseFromString(text_graph)
        self._checkpointed = checkpointed

    def objects(self, meta_graph: Any) -> Objects:
        return Objects(meta_graph.object_graph_def, self._checkpointed)

    def rows(self, table: PlannedTable) -> list[RowSource]:
        """What a table's rows come from, and whatever else holds the same rows."""
        assert self.checkpoint is not None
        if not table.parts:
            rows = [from_checkpoint(self._prefix, key) for key in table.keys]
            folding = table.folding
            if folding is None:
                return rows
            return [KeyedSource(source, *folding.stored()) for source in rows]
        if table.strategy == "mod":
            return [PartitionedSource(self.checkpoint, table.keys)]
        return [ConcatenatedSource([from_checkpoint(self._prefix, key) for key in table.keys])]

    def copy_files(self, target: str) -> None:
        """Copies everything beside the graph and the checkpoint into a new folder."""
        names = [_GRAPH, _VARIABLES, *_NOT_COPIED]

        def ignored(folder: str, _: list[str]) -> list[str]:
            return names if os.path.samefile(folder, self.path) else []

        shutil.copytree(self.path, target, ignore=ignored)

    def write(self, target: str, dropped: set[str]) -> None:
        """Writes the graph as it is now, and the checkpoint without some variables."""
        if self.checkpoint is not None:
            os.makedirs(os.path.join(target, _VARIABLES))
            strings = {}
            if self._checkpointed.nodes:
                strings[CHECKPOINT_KEY] = self._checkpointed.SerializeToString(deterministic=True)
            new_prefix = os.path.join(target, _VARIABLES, "variables")
            copy_checkpoint(self._prefix, new_prefix, dropped, strings)
        with open(os.path.join(target, _GRAPH), "wb") as file:
            file.write(self.proto.SerializeToString(deterministic=True))

    def _check_not_rewritten(self) -> None:
        for meta_graph in self.proto.meta_graphs:
            graph = meta_graph.graph_def
            for nodes in (graph.node, *(f.node_def for f in graph.library.function)):
                if any(node.op.startswith("Hps") for node in nodes):
                    raise ValueError(
                        f"{self.path} looks rows up in tables of tf_hps already; rewrite the SavedModel "
                        "that it was made from"
                    )
