"""The saver of a SavedModel: the one place where operations may touch checkpoint files.

Owns the rule for ``SaveV2``, ``MergeV2Checkpoints`` and ``RestoreV2``. What the loader itself starts
(``saver_def`` names it) may restore, from the file that the loader gives it; what writes may be started by
nobody but who saves a model, which this project never does. Anything else that would run them is refused.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from detector.models.protobufs import find_node_name, list_called

WRITING = frozenset({"SaveV2", "MergeV2Checkpoints"})
READING = frozenset({"RestoreV2"})
SAVER_OPS = WRITING | READING

_Found = tuple[str, str]  # operation, place
_PASSING_ON = {"Identity", "PlaceholderWithDefault"}


def find_misused_saver_ops(meta_graph: Any) -> Iterator[_Found]:  # noqa: ANN401 (a MetaGraphDef)
    """Find the saver's operations in a ``MetaGraphDef`` that something else than its saver could run.

    Gives (operation, place). Accepts what TensorFlow writes: in TF2 functions that only the nodes of
    ``saver_def`` call, in TF1 nodes that only lead to those.
    """
    by_function = _find_saver_functions(meta_graph.graph_def.library)
    yield from _find_in_functions(meta_graph, by_function)
    yield from _find_in_main_graph(meta_graph, by_function)


def _find_saver_functions(library: Any) -> Mapping[str, set[str]]:  # noqa: ANN401
    found: dict[str, set[str]] = defaultdict(set)
    for function in library.function:
        ops = SAVER_OPS.intersection(node.op for node in function.node_def)
        if ops:
            found[function.signature.name] |= ops
    return found


def _find_in_functions(meta_graph: Any, by_function: Mapping[str, set[str]]) -> Iterator[_Found]:  # noqa: ANN401
    callable_names = _list_object_functions(meta_graph.object_graph_def)
    for function in meta_graph.graph_def.library.function:
        caller = function.signature.name
        first = function.signature.input_arg[0].name if function.signature.input_arg else None
        nodes = {node.name: node for node in function.node_def}
        for node in function.node_def:
            place = f"node {node.name} of function {caller}"
            if node.op in SAVER_OPS and caller in callable_names:
                yield node.op, f"{place}, which an object of the model calls"
            for called in by_function.keys() & list_called(node):
                yield min(by_function[called]), f"{place}, through function {called}"
            if node.op in READING and (first in nodes or _trace_back(_get_first_input(node), nodes) != first):
                yield node.op, f"{place}, which restores another file than the loader's"


def _find_in_main_graph(meta_graph: Any, by_function: Mapping[str, set[str]]) -> Iterator[_Found]:  # noqa: ANN401
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    saver = meta_graph.saver_def
    saving = _find_ancestors([saver.save_tensor_name], nodes)
    restoring = _find_ancestors([saver.restore_op_name], nodes)
    doing = {name: _find_saver_ops(node, by_function) for name, node in nodes.items()}
    doing = {name: ops for name, ops in doing.items() if ops}
    if not doing:
        return
    started = _find_ancestors(_list_started(meta_graph, nodes, _find_descendants(doing, nodes)), nodes)
    for name, ops in doing.items():
        for op in ops:
            mine, other = (saving, restoring) if op in WRITING else (restoring, saving)
            if name not in mine or name in other or name in started:
                yield op, f"node {name}, outside the saver"
        if ops & READING:
            given = _trace_back(_get_first_input(nodes[name]), nodes, saver.filename_tensor_name)
            if not given or given != find_node_name(saver.filename_tensor_name):
                yield min(ops), f"node {name}, which restores another file than the loader's"


def _find_saver_ops(node: Any, by_function: Mapping[str, set[str]]) -> set[str]:  # noqa: ANN401
    called = list_called(node)
    return (called & SAVER_OPS).union(*(by_function[name] for name in called & by_function.keys()))


def _list_object_functions(object_graph: Any) -> set[str]:  # noqa: ANN401
    names = set(object_graph.concrete_functions)
    for node in object_graph.nodes:
        names.update(node.function.concrete_functions)
        names.add(node.bare_concrete_function.concrete_function_name)
        names.add(node.captured_tensor.concrete_function)
    return names


def _list_started(meta_graph: Any, nodes: Mapping[str, Any], suspects: Iterable[str]) -> set[str]:  # noqa: ANN401
    """List the nodes that loading or scoring may start: those of signatures and of collections.

    Collections also hold messages that name nodes; of these only the ``suspects`` are looked for.
    """
    started: set[str] = set()
    for signature in meta_graph.signature_def.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            started.update(_list_tensors(info))
    encoded = [(name, name.encode()) for name in suspects]
    for key, collection in meta_graph.collection_def.items():
        started.update(collection.node_list.value)
        if key != "savers":
            held = b"\n".join(collection.bytes_list.value)
            started.update(name for name, text in encoded if text in held)
    return {name for tensor in started if (name := find_node_name(tensor)) in nodes}


def _list_tensors(info: Any) -> Iterator[str]:  # noqa: ANN401 (a TensorInfo)
    sparse = info.coo_sparse
    yield from (info.name, sparse.values_tensor_name, sparse.indices_tensor_name)
    yield sparse.dense_shape_tensor_name
    for component in info.composite_tensor.components:
        yield from _list_tensors(component)


def _find_ancestors(tensors: Iterable[str], nodes: Mapping[str, Any]) -> set[str]:
    """Find the nodes that give ``tensors`` and all that these depend on."""
    waiting, found = [find_node_name(tensor) for tensor in tensors], set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting.extend(find_node_name(tensor) for tensor in nodes[name].input)
    return found


def _find_descendants(names: Iterable[str], nodes: Mapping[str, Any]) -> set[str]:
    users = defaultdict(list)
    for name, node in nodes.items():
        for tensor in node.input:
            users[find_node_name(tensor)].append(name)
    waiting, found = list(names), set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(users[name])
    return found


def _trace_back(tensor: str, nodes: Mapping[str, Any], until: str = "") -> str:
    """Follow a tensor back through nodes that only pass it on; stop at the tensor ``until``."""
    name, stop = find_node_name(tensor), find_node_name(until)
    for _ in nodes:
        if name == stop or name not in nodes or nodes[name].op not in _PASSING_ON:
            break
        name = find_node_name(_get_first_input(nodes[name]))
    return name


def _get_first_input(node: Any) -> str:  # noqa: ANN401
    return next(iter(node.input), "")
