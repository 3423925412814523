"""TensorFlow's model files as protobuf messages, without TensorFlow.

Owns the parsing of ``saved_model.pb`` and frozen ``GraphDef`` files and what a graph's nodes reach.
Refuses to interpret: what is a detector is decided in ``signature``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from tensorboard.compat.proto import graph_pb2, meta_graph_pb2

from detector.errors import ModelError

_PARSE_EXAMPLE_OPS = {"ParseExample", "ParseExampleV2", "ParseSingleExample"}


def read_meta_graphs(path: Path) -> list[Any]:
    """Read the ``MetaGraphDef`` messages of a ``saved_model.pb`` file.

    Raises ``ModelError`` when the file is empty, damaged or no SavedModel.
    """
    saved_model = _parse(_SavedModel(), path)
    meta_graphs = list(saved_model.meta_graphs)
    if not meta_graphs:
        raise ModelError(f"{path}: not a SavedModel, or damaged: it holds no graph. Copy or export it again.")
    return meta_graphs


def read_graph(path: Path) -> Any:  # noqa: ANN401 (a generated message class, which has no type)
    """Read the ``GraphDef`` of a frozen graph file.

    Raises ``ModelError`` when the file is empty, damaged or no frozen graph.
    """
    graph = _parse(graph_pb2.GraphDef(), path)
    if not any(node.op for node in graph.node):
        raise ModelError(f"{path}: not a frozen graph, or damaged: it has no nodes. Copy or export it again.")
    return graph


def is_fed_by_examples(graph: Any, output_tensors: Iterable[str]) -> bool:  # noqa: ANN401
    """Tell whether computing ``output_tensors`` of a ``GraphDef`` parses tf.train.Example messages.

    Follows the nodes back from the outputs, and into every function that they call.
    """
    functions = {function.signature.name: function for function in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    waiting = [find_node_name(tensor) for tensor in output_tensors]
    reached: set[str] = set()
    called: set[str] = set()
    while waiting:
        node = nodes.get(waiting.pop())
        if node is None or node.name in reached:
            continue
        reached.add(node.name)
        if node.op in _PARSE_EXAMPLE_OPS:
            return True
        waiting.extend(find_node_name(name) for name in node.input)
        called.update(list_called(node))
    seen: set[str] = set()
    while called:
        name = called.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if node.op in _PARSE_EXAMPLE_OPS:
                return True
            called.update(list_called(node))
    return False


def list_called(node: Any) -> set[str]:  # noqa: ANN401
    """List what running a ``NodeDef`` may run: its op and every function in its attributes, at any depth."""
    called = {node.op}
    waiting = list(node.attr.values())
    while waiting:
        attribute = waiting.pop()
        kind = attribute.WhichOneof("value")
        if kind in {"func", "list"}:
            for function in [attribute.func] if kind == "func" else attribute.list.func:
                called.add(function.name)
                waiting.extend(function.attr.values())
    return called


def find_node_name(tensor: str) -> str:
    """Find the node that gives a tensor, or that a control input names.

    >>> [find_node_name(tensor) for tensor in ("split:1", "^init", "add:z:0")]
    ['split', 'init', 'add']
    """
    return tensor.removeprefix("^").split(":")[0]


def _parse(message: Any, path: Path) -> Any:  # noqa: ANN401
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror}") from error
    if not content:
        raise ModelError(f"{path}: the file is empty. Copy or export the model again.")
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(f"{path}: damaged or no TensorFlow model. Copy or export it again.") from error
    return message


def _build_saved_model_class() -> type[Message]:
    # tensorboard ships every message of a SavedModel but the outermost one.
    file = descriptor_pb2.FileDescriptorProto(
        name="detector/saved_model.proto",
        package="detector",
        syntax="proto3",
        dependency=[meta_graph_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="SavedModel")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(
        name="saved_model_schema_version", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL
    )
    message.field.add(
        name="meta_graphs",
        number=2,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name="." + meta_graph_pb2.MetaGraphDef.DESCRIPTOR.full_name,
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("detector.SavedModel"))


_SavedModel = _build_saved_model_class()
