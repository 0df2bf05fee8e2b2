"""The assets of a meta graph: which node names which file, vocabularies in them, and those that go."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tf_hps.saved_model.rewriting.body import Body, attribute
from tf_hps.saved_model.rewriting.objects import Objects

ASSETS_COLLECTION = "saved_model_assets"


def asset_files(meta_graph: Any) -> dict[str, str]:
    """The names of the files by the nodes that have their paths when the model is loaded."""
    files = list(meta_graph.asset_file_def)
    # A loader looks into the collection only where the list is empty.
    if not files and ASSETS_COLLECTION in meta_graph.collection_def:
        for value in meta_graph.collection_def[ASSETS_COLLECTION].any_list.value:
            file = meta_graph_pb2.AssetFileDef()
            if value.Unpack(file):
                files.append(file)
    return {_node(file): file.filename for file in files}


def asset_chains(body: Body, meta_graph: Any) -> dict[str, frozenset[str]]:
    """The nodes of the main graph that only carry an asset's path, by the node that gets it first.

    TensorFlow 2 puts it into a variable, and reads that.
    """
    consumers = body.consumers()
    chains = {}
    for asset in asset_files(meta_graph):
        chain = {asset}
        for node in consumers.get(asset, ()):
            if node.op == "AssignVariableOp":
                variable = body.tensor(body.data_inputs(node)[0])[0]
                chain |= {variable, *(other.name for other in consumers[variable])}
        chains[asset] = frozenset(chain)
    return chains


def read_vocabulary(path: str, initializer: Any, table: Any) -> tuple[Any, npt.NDArray[np.int64]]:
    """Keys and values of a hash table that is filled from a file, as TensorFlow reads it.

    Args:
        path: The file.
        initializer: The InitializeTableFromTextFileV2 node.
        table: The node of the hash table.
    """
    with tf.init_scope(), tf.device("CPU:0"):
        key_dtype, value_dtype = (attribute(table, n).type for n in ("key_dtype", "value_dtype"))
        handle = tf.raw_ops.AnonymousHashTable(key_dtype=key_dtype, value_dtype=value_dtype)
        tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=handle,
            filename=path,
            key_index=attribute(initializer, "key_index").i,
            value_index=attribute(initializer, "value_index").i,
            vocab_size=attribute(initializer, "vocab_size").i or -1,
            delimiter=attribute(initializer, "delimiter").s or b"\t",
            offset=attribute(initializer, "offset").i,
        )
        keys, values = tf.raw_ops.LookupTableExportV2(
            table_handle=handle, Tkeys=key_dtype, Tvalues=value_dtype
        )
        return keys.numpy(), values.numpy()


def drop_assets(meta_graph: Any, objects: Objects, gone: Collection[str]) -> set[str]:
    """Takes the assets out that these nodes named; the names of files that no asset has any more."""
    before = asset_files(meta_graph)
    files = [type(file).FromString(file.SerializeToString()) for file in meta_graph.asset_file_def]
    kept = [number for number, file in enumerate(files) if _node(file) not in gone]
    objects.renumber_assets(kept)
    del meta_graph.asset_file_def[:]
    meta_graph.asset_file_def.extend(files[number] for number in kept)
    if ASSETS_COLLECTION in meta_graph.collection_def:
        collection = meta_graph.collection_def[ASSETS_COLLECTION].any_list
        for value in list(collection.value):
            file = meta_graph_pb2.AssetFileDef()
            if value.Unpack(file) and _node(file) in gone:
                collection.value.remove(value)
    return set(before.values()) - set(asset_files(meta_graph).values())


def _node(file: Any) -> str:
    return str(file.tensor_info.name.split(":", 1)[0])
