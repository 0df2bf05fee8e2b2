"""The objects of a SavedModel of TensorFlow 2, as its file and its checkpoint know them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tensorflow.core.protobuf import saved_object_graph_pb2, trackable_object_graph_pb2

CHECKPOINT_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_ROOT = 0


class Objects:
    """Both graphs of objects.

    Args:
        saved: The SavedObjectGraph of a meta graph; without nodes for a SavedModel of TensorFlow 1.
        checkpointed: The TrackableObjectGraph of the checkpoint.
    """

    def __init__(
        self,
        saved: saved_object_graph_pb2.SavedObjectGraph,
        checkpointed: trackable_object_graph_pb2.TrackableObjectGraph,
    ) -> None:
        self.saved = saved
        self.checkpointed = checkpointed
        # The same object's number in the checkpoint.
        self._numbers = _matching(saved, checkpointed)

    def keys(self) -> dict[int, str]:
        """The names in the checkpoint by the numbers of objects."""
        found = {}
        for number, other in self._numbers.items():
            for attribute in self.checkpointed.nodes[other].attributes:
                if attribute.name == _VALUE:
                    found[number] = attribute.checkpoint_key
        return found

    def slots(self, originals: Collection[int]) -> dict[int, int]:
        """Variables that an optimizer keeps beside others: their numbers, and whose they are."""
        return {
            slot.slot_variable_node_id: slot.original_variable_node_id
            for node in self.saved.nodes
            for slot in node.slot_variables
            if slot.original_variable_node_id in originals
        }

    def forget(self, gone: Collection[int]) -> None:
        """Takes variables out of the checkpoint, out of lists and out of optimizers."""
        others = {self._numbers[number] for number in gone if number in self._numbers}
        for graph, numbers in ((self.saved, set(gone)), (self.checkpointed, others)):
            for node in graph.nodes:
                _take_from_list(node, numbers)
                kept = [s for s in node.slot_variables if not _is_slot_of(s, numbers)]
                kept = [type(slot).FromString(slot.SerializeToString()) for slot in kept]
                del node.slot_variables[:]
                node.slot_variables.extend(kept)
        for number in others:
            del self.checkpointed.nodes[number].attributes[:]

    def make_table(self, number: int, functions: Mapping[str, int], asset: int) -> None:
        """Makes an object a table: a resource with functions, and its configuration."""
        node = self.saved.nodes[number]
        node.Clear()
        node.resource.device = ""
        # Functions hold the handle alone: a table that nothing holds would be destroyed after a load.
        self.saved.nodes[_ROOT].children.add(node_id=number, local_name=f"_hps_table_{number}")
        node.children.add(node_id=asset, local_name="config")
        for name, function in functions.items():
            node.children.add(node_id=function, local_name=name)

    def replace_function(self, name: str, new: str) -> set[int]:
        """Puts a function that captures nothing in the place of another; what that one captured."""
        if name not in self.saved.concrete_functions:
            return set()
        old = self.saved.concrete_functions[name]
        function = self.saved.concrete_functions[new]
        function.CopyFrom(old)
        del function.bound_inputs[:]
        captured = set(old.bound_inputs)
        del self.saved.concrete_functions[name]
        for node in self.saved.nodes:
            kind = node.WhichOneof("kind")
            if kind == "function":
                names = [new if n == name else n for n in node.function.concrete_functions]
                node.function.concrete_functions[:] = names
            elif kind == "bare_concrete_function":
                bare = node.bare_concrete_function
                if bare.concrete_function_name == name:
                    bare.concrete_function_name = new
            elif kind == "captured_tensor":
                captured_by = node.captured_tensor
                if captured_by.concrete_function == name:
                    captured_by.concrete_function = new
        return captured

    def is_captured(self, number: int) -> bool:
        return any(number in f.bound_inputs for f in self.saved.concrete_functions.values())

    def make_nothing(self, number: int) -> None:
        """Makes an object one without anything."""
        node = self.saved.nodes[number]
        node.Clear()
        node.user_object.identifier = "_generic_user_object"
        node.user_object.version.producer = node.user_object.version.min_consumer = 1

    def add_asset(self, asset: int) -> int:
        """Adds the asset with this number among the meta graph's."""
        node = self.saved.nodes.add()
        node.asset.asset_file_def_index = asset
        return len(self.saved.nodes) - 1

    def renumber_assets(self, kept: Sequence[int]) -> None:
        """Lets assets have their new places in the list of the meta graph, which has only these left."""
        for number, node in enumerate(self.saved.nodes):
            if node.WhichOneof("kind") != "asset":
                continue
            if node.asset.asset_file_def_index in kept:
                node.asset.asset_file_def_index = kept.index(node.asset.asset_file_def_index)
            else:
                self.make_nothing(number)

    def add_function(self, name: str, captured: Iterable[int], output: Any) -> int:
        """Adds a function of a table without arguments; `output` is the structure of its result."""
        concrete = self.saved.concrete_functions[name]
        concrete.bound_inputs.extend(captured)
        # ((), {}): positional arguments and others.
        arguments = concrete.canonicalized_input_signature.tuple_value
        arguments.values.add().tuple_value.SetInParent()
        arguments.values.add().dict_value.SetInParent()
        concrete.output_signature.CopyFrom(output)
        node = self.saved.nodes.add()
        node.function.concrete_functions.append(name)
        specification = node.function.function_spec
        names = specification.fullargspec.named_tuple_value
        names.name = "FullArgSpec"
        for key in ("args", "varargs", "varkw", "defaults", "kwonlyargs", "kwonlydefaults"):
            value = names.values.add(key=key).value
            (value.list_value if key in ("args", "kwonlyargs") else value.none_value).SetInParent()
        names.values.add(key="annotations").value.dict_value.SetInParent()
        specification.input_signature.tuple_value.SetInParent()
        return len(self.saved.nodes) - 1


def _matching(saved: Any, checkpointed: Any) -> dict[int, int]:
    if not saved.nodes or not checkpointed.nodes:
        return {}
    found = {_ROOT: _ROOT}
    left = [_ROOT]
    while left:
        number = left.pop()
        node, other = saved.nodes[number], checkpointed.nodes[found[number]]
        by_name = {child.local_name: child.node_id for child in other.children}
        pairs = [
            (child.node_id, by_name[child.local_name])
            for child in node.children
            if child.local_name in by_name
        ]
        for pair in (*pairs, *_slot_pairs(node, other, found)):
            if pair[0] not in found:
                found[pair[0]] = pair[1]
                left.append(pair[0])
    # Slots whose variables were met later than their optimizer.
    for number, other_number in list(found.items()):
        node, other = saved.nodes[number], checkpointed.nodes[other_number]
        found.update({k: v for k, v in _slot_pairs(node, other, found) if k not in found})
    return found


def _slot_pairs(node: Any, other: Any, found: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    slots = {(s.original_variable_node_id, s.slot_name): s for s in other.slot_variables}
    for slot in node.slot_variables:
        same = slots.get((found.get(slot.original_variable_node_id), slot.slot_name))
        if same is not None:
            yield slot.slot_variable_node_id, same.slot_variable_node_id


def _is_slot_of(slot: Any, numbers: Collection[int]) -> bool:
    return slot.original_variable_node_id in numbers or slot.slot_variable_node_id in numbers


def _take_from_list(node: Any, numbers: Collection[int]) -> None:
    """A list's children are numbered; other objects keep their attribute, a table now."""
    if not any(child.node_id in numbers for child in node.children):
        return
    if not all(child.local_name.isdigit() for child in node.children):
        return
    children = sorted(node.children, key=lambda child: int(child.local_name))
    kept = [child.node_id for child in children if child.node_id not in numbers]
    del node.children[:]
    for position, number in enumerate(kept):
        node.children.add(node_id=number, local_name=str(position))
