"""The tables of a graph: their handles, the configuration as an asset, and their initializers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from tf_hps.saved_model.rewriting.asset_files import ASSETS_COLLECTION
from tf_hps.saved_model.rewriting.body import Body, set_constant
from tf_hps.saved_model.rewriting.graph_roots import INIT_SIGNATURE, init_nodes
from tf_hps.saved_model.rewriting.plan import PlannedTable


def make_handle(node: Any, shared_name: str) -> None:
    """Makes a variable's node a table's handle."""
    control = [text for text in node.input if text.startswith("^")]
    node.op = "HpsTableHandle"
    node.input[:] = control
    node.attr.clear()
    node.attr["container"].s = b""
    node.attr["shared_name"].s = shared_name.encode()


def add_config_asset(meta_graph: Any, body: Body, file_name: str) -> tuple[str, int]:
    """Adds an asset; the tensor that has its path when the model is loaded, and its number."""
    path = body.add("hps_config_path", "Const")
    set_constant(path, file_name)
    asset = meta_graph_pb2.AssetFileDef(filename=file_name)
    asset.tensor_info.name = f"{path.name}:0"
    # A loader looks into the collection only where the list is empty.
    collection = meta_graph.collection_def.get(ASSETS_COLLECTION)
    if collection is not None and not meta_graph.asset_file_def:
        collection.any_list.value.add().Pack(asset)
        return path.name, -1
    meta_graph.asset_file_def.append(asset)
    return path.name, len(meta_graph.asset_file_def) - 1


def add_initializers(
    meta_graph: Any, body: Body, path: str, tables: Iterable[tuple[PlannedTable, str]]
) -> None:
    """Lets the tables be opened when a server initializes the graph.

    Args:
        meta_graph: Its signature of the initializer is set.
        body: The main graph.
        path: The node with the path of the configuration.
        tables: Tables with the nodes of their handles.
    """
    before = init_nodes(meta_graph)
    added = []
    for table, handle in tables:
        node = body.add(f"{handle}/initialize", "HpsTableInitialize", [handle, path])
        node.attr["table"].s = table.name.encode()
        added.append(node.name)
    control = [f"^{name}" for name in dict.fromkeys([*before, *added])]
    everything = body.add("hps_init", "NoOp", control)
    signature = meta_graph.signature_def[INIT_SIGNATURE]
    signature.Clear()
    output = signature.outputs[INIT_SIGNATURE]
    output.name = everything.name
    output.tensor_shape.CopyFrom(tensor_shape_pb2.TensorShapeProto(unknown_rank=True))
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta_graph.collection_def:
            meta_graph.collection_def[key].node_list.value[:] = [everything.name]


def drop_from_collections(meta_graph: Any, gone: Iterable[str], handles: Iterable[str]) -> None:
    """Takes nodes that are gone, and variables that are none any more, out of the collections."""
    names = set(gone) | set(handles)
    for key in list(meta_graph.collection_def):
        collection = meta_graph.collection_def[key]
        kind = collection.WhichOneof("kind")
        if kind == "node_list":
            kept = [n for n in collection.node_list.value if n.split(":", 1)[0] not in names]
            collection.node_list.value[:] = kept
        elif kind == "bytes_list":
            values = list(collection.bytes_list.value)
            kept_bytes = [value for value in values if not _names_one_of(value, names)]
            collection.bytes_list.value[:] = kept_bytes
            if values and not kept_bytes:
                del meta_graph.collection_def[key]


def _names_one_of(content: bytes, names: set[str]) -> bool:
    """Whether a VariableDef names a variable among these; other protos are left alone."""
    from tensorflow.core.framework import variable_pb2

    try:
        variable = variable_pb2.VariableDef.FromString(content)
    except Exception:  # The protocol buffer's own exception, which depends on its implementation.
        return False
    return variable.variable_name.split(":", 1)[0] in names
