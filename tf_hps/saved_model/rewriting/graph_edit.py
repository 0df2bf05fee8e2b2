"""Puts the tables of a plan into a meta graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import struct_pb2
from tensorflow.python.framework import op_def_registry

from tf_hps import ops
from tf_hps.saved_model.rewriting import table_nodes
from tf_hps.saved_model.rewriting.asset_files import asset_chains, drop_assets
from tf_hps.saved_model.rewriting.fold_nodes import empty_hash_tables, fold_lookups
from tf_hps.saved_model.rewriting.function_copies import FunctionCopies
from tf_hps.saved_model.rewriting.lookup_nodes import replace_lookups, replace_stitches
from tf_hps.saved_model.rewriting.objects import Objects
from tf_hps.saved_model.rewriting.plan import GraphPlan, PlannedTable
from tf_hps.saved_model.rewriting.saving_nodes import drop_from_saving

SharedName = Callable[[PlannedTable, str], str]


def edit_graph(
    meta_graph: Any, plan: GraphPlan, objects: Objects, config_file: str, shared_name: SharedName
) -> set[str]:
    """Rewrites a meta graph in place; returns the names of assets that it needs no more.

    Args:
        meta_graph: The MetaGraphDef that the plan is of.
        plan: What becomes a table.
        objects: Its objects. Those of the checkpoint are changed too.
        config_file: The name of the configuration among the assets.
        shared_name: The name of the handle of a table in the place of a variable's node.
    """
    tables = plan.table_of()
    variables = {*tables, *(variable.node for variable in plan.dropped)}
    keys = plan.dropped_keys
    library = meta_graph.graph_def.library
    for instance in plan.saving:
        drop_from_saving(instance.body, instance, variables, keys, ())
    copies = FunctionCopies(
        plan.flow, plan.roots.functions, plan.saving, tables, plan.stitches, plan.fold.lookups
    )
    copies.rewrite(library)
    body = plan.flow.graph.body
    gone = drop_from_saving(body, plan.flow.graph, variables, keys, plan.roots.live)
    replace_stitches(body, plan.stitches[id(plan.flow.graph)], tables)
    folded = fold_lookups(body, plan.fold.lookups.get(id(plan.flow.graph), ()), plan.roots.outputs)
    asked_no_more = copies.gone | {("", name) for name in folded}
    assets = asset_chains(body, meta_graph)
    gone |= empty_hash_tables(body, library, objects, plan.fold.hash_tables, asked_no_more, assets)
    unnamed = drop_assets(meta_graph, objects, gone)
    live = [name for name in plan.roots.live if name in body.nodes]
    replace_lookups(body, plan.flow.graph, tables, copies.name, live)
    path, asset = table_nodes.add_config_asset(meta_graph, body, config_file)
    for node, table in tables.items():
        table_nodes.make_handle(body.nodes[node], shared_name(table, node))
    handles = [(table, node) for node, table in tables.items() if _is_read(body, node)]
    table_nodes.add_initializers(meta_graph, body, path, handles)
    table_nodes.drop_from_collections(meta_graph, gone, variables)
    if objects.saved.nodes:
        _edit_objects(objects, plan, library, asset, shared_name)
    _name_ops(meta_graph)
    return unnamed


def _is_read(body: Any, node: str) -> bool:
    """Whether a handle goes anywhere: one of a copy that nobody reads is not opened."""
    return any(body.tensor(text)[0] == node for other in body for text in body.data_inputs(other))


def _edit_objects(
    objects: Objects, plan: GraphPlan, library: Any, asset: int, shared_name: SharedName
) -> None:
    tables = plan.table_of()
    numbers = {number: node for number, node in plan.roots.nodes.items() if node in tables}
    unread = {variable.node for variable in plan.dropped}
    dropped = [number for number, node in plan.roots.nodes.items() if node in unread]
    objects.forget({*numbers, *dropped})
    config = objects.add_asset(asset)
    for number, node in numbers.items():
        table = tables[node]
        functions = {}
        for name, function, captured, dtype in (
            ("_create_resource", _creator(shared_name(table, node)), (), types_pb2.DT_RESOURCE),
            ("_initialize", _initializer(table.name), (number, config), types_pb2.DT_INT32),
            ("_destroy_resource", _destroyer(), (number,), types_pb2.DT_INT32),
        ):
            function.signature.name = f"hps_{name.lstrip('_')}_{number}"
            library.function.append(function)
            output = struct_pb2.StructuredValue()
            output.tensor_spec_value.name = "unknown"
            output.tensor_spec_value.shape.SetInParent()
            output.tensor_spec_value.dtype = dtype
            functions[name] = objects.add_function(function.signature.name, captured, output)
        objects.make_table(number, functions, config)
    for number in dropped:
        objects.make_nothing(number)


def _creator(shared_name: str) -> Any:
    @tf.function(input_signature=[])
    def create() -> tf.Tensor:
        return ops.table_handle(shared_name=shared_name)

    return create.get_concrete_function().function_def


def _initializer(table: str) -> Any:
    @tf.function(input_signature=[tf.TensorSpec([], tf.resource), tf.TensorSpec([], tf.string)])
    def initialize(handle: tf.Tensor, config_path: tf.Tensor) -> tf.Tensor:
        ops.table_initialize(handle, config_path, table)
        return tf.constant(0)

    return initialize.get_concrete_function().function_def


def _destroyer() -> Any:
    @tf.function(input_signature=[tf.TensorSpec([], tf.resource)])
    def destroy(handle: tf.Tensor) -> tf.Tensor:
        tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)
        return tf.constant(0)

    return destroy.get_concrete_function().function_def


def _name_ops(meta_graph: Any) -> None:
    """Adds the definitions of the ops that were not in the graph before."""
    listed = meta_graph.meta_info_def.stripped_op_list.op
    known = {op.name for op in listed}
    graph = meta_graph.graph_def
    bodies: Iterable[Any] = [graph.node, *(f.node_def for f in graph.library.function)]
    functions = {f.signature.name for f in graph.library.function}
    used = {node.op for nodes in bodies for node in nodes} - known - functions
    for name in sorted(used):
        definition = op_def_registry.get(name)
        if definition is not None:
            listed.append(definition)
