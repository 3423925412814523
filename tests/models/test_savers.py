"""The saver's operations are accepted where TensorFlow put them, and nowhere else."""

import shutil

import pytest

from detector.errors import ModelError
from detector.models.guard import check_model
from detector.models.protobufs import _SavedModel
from detector.models.savers import find_misused_saver_ops


@pytest.fixture(scope="module")
def tf1(tmp_path_factory):
    """Save a TF1 SavedModel with a variable, whose saver lies in the main graph as ``save/...``."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("tf1") / "model"
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        y = tf.identity(x + tf.compat.v1.get_variable("v", [3])[0], name="y")
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})
    return folder


def read(folder):
    """Read the only graph of a SavedModel."""
    return _SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]


def find_node(graph, name):
    """Find a node of the main graph by its name."""
    return next(node for node in graph.graph_def.node if node.name == name)


def depend_on_write(graph):
    """Make every call write a checkpoint first."""
    find_node(graph, "y").input.append("^save/SaveV2")


def restore_by_write(graph):
    """Make the loader write when it means to restore."""
    graph.saver_def.restore_op_name = "save/Identity"


def sign_write(graph):
    """Offer the write as an output."""
    graph.signature_def["serving_default"].outputs["y"].name = "save/Identity:0"


def collect_write(graph):
    """Name the write among what TF1's loader starts."""
    graph.collection_def["saved_model_main_op"].node_list.value.append("save/SaveV2")


def collect_write_in_message(graph):
    """Name the write as the initialiser of a local variable, inside a message."""
    graph.collection_def["local_variables"].bytes_list.value.append(b"\x0a\x01v\x12\x0bsave/SaveV2")


def collect_what_follows_in_message(graph):
    """Name in a message what can only be had after the write."""
    graph.collection_def["local_variables"].bytes_list.value.append(b"\x0a\x01v\x12\x0dsave/Identity")


def collect_restore(graph):
    """Start the restoring for every call, which might read another file by then."""
    find_node(graph, "y").input.append("^save/restore_all")


def write_before_restore(graph):
    """Put a write into the saver, before what the loader starts."""
    find_node(graph, "save/restore_all").input.append("^save/MergeV2Checkpoints")


def forget_the_saver(graph):
    """Keep the operations and say that there is no saver."""
    graph.ClearField("saver_def")


def restore_another_file(graph):
    """Restore from a constant instead of the loader's path."""
    find_node(graph, "save/RestoreV2").input[0] = "save/filename/input"


MISUSES = {  # misuse: the operation that is named
    depend_on_write: "SaveV2", restore_by_write: "SaveV2", sign_write: "SaveV2", collect_write: "SaveV2",
    collect_write_in_message: "SaveV2", collect_what_follows_in_message: "SaveV2", collect_restore: "RestoreV2", write_before_restore: "SaveV2",
    forget_the_saver: "SaveV2", restore_another_file: "RestoreV2",
}  # fmt: skip


@pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse.__name__)
def test_misuse_in_the_main_graph_is_found(tf1, misuse):
    """TF1's saver is found innocent, and guilty after each change."""
    graph = read(tf1)
    assert not list(find_misused_saver_ops(graph))
    misuse(graph)
    assert MISUSES[misuse] in {op for op, _ in find_misused_saver_ops(graph)}


def describe_saver(graph):
    """Keep the saver's description in a collection, as TF1's sessions did."""
    graph.collection_def["savers"].bytes_list.value.append(graph.saver_def.SerializeToString())


def pass_path_on(graph):
    """Hand the loader's path through a node that changes nothing."""
    graph.graph_def.node.add(name="path", op="Identity", input=["save/Const"])
    find_node(graph, "save/RestoreV2").input[0] = "path"


@pytest.mark.parametrize("use", [describe_saver, pass_path_on])
def test_good_use_is_accepted(tf1, use):
    """What older exports do with their saver is no misuse."""
    graph = read(tf1)
    use(graph)
    assert not list(find_misused_saver_ops(graph))


def find_saver_function(graph, kind):
    """Find the function that TF2's saver has for saving or restoring."""
    return next(f for f in graph.graph_def.library.function if f"traced_{kind}" in f.signature.name)


def call_from_detector(graph):
    """Save from the function that detects."""
    caller = next(f for f in graph.graph_def.library.function if "traced" not in f.signature.name)
    call = caller.node_def.add(name="harmless", op="StatefulPartitionedCall")
    call.attr["f"].func.name = find_saver_function(graph, "save").signature.name


def call_by_object(graph):
    """Give an object of the model the saving function as a method."""
    node = graph.object_graph_def.nodes.add()
    node.bare_concrete_function.concrete_function_name = find_saver_function(graph, "save").signature.name


def restore_constant(graph):
    """Restore from a constant inside the saver's function."""
    function = find_saver_function(graph, "restore")
    restore = next(node for node in function.node_def if node.op == "RestoreV2")
    restore.input[0] = "RestoreV2/tensor_names:output:0"


def restore_namesake(graph):
    """Restore from a constant that has the name of the function's argument."""
    function = find_saver_function(graph, "restore")
    function.node_def.add(name=function.signature.input_arg[0].name, op="Const")
    restore = next(node for node in function.node_def if node.op == "RestoreV2")
    restore.input[0] += ":output:0"


def restore_nothing(graph):
    """Leave out what to restore."""
    function = find_saver_function(graph, "restore")
    del next(node for node in function.node_def if node.op == "RestoreV2").input[:]


def call_by_function_object(graph):
    """Give an object of the model the saving function among those it chooses from."""
    name = find_saver_function(graph, "save").signature.name
    graph.object_graph_def.nodes.add().function.concrete_functions.append(name)


def call_by_name(graph):
    """Name the saving function among those that the loader prepares."""
    graph.object_graph_def.concrete_functions[find_saver_function(graph, "save").signature.name].SetInParent()


def restore_elsewhere(graph):
    """Call the restoring function with another file."""
    find_node(graph, graph.saver_def.restore_op_name).input[0] = "serving_default_input_tensor"


@pytest.mark.parametrize(
    ("misuse", "place"),
    [
        (call_from_detector, "through function __inference__traced_save"),
        (call_by_object, "which an object of the model calls"),
        (call_by_function_object, "which an object of the model calls"),
        (call_by_name, "which an object of the model calls"),
        (restore_namesake, "another file than the loader's"),
        (restore_nothing, "another file than the loader's"),
        (restore_constant, "another file than the loader's"),
        (restore_elsewhere, "another file than the loader's"),
    ],
)
def test_misuse_of_functions_is_found(build, misuse, place):
    """TF2's saver lies in functions, which nothing else may call."""
    graph = read(build("dynamic"))
    assert not list(find_misused_saver_ops(graph))
    misuse(graph)
    assert place in " ".join(place for _, place in find_misused_saver_ops(graph))


def test_guard_asks_for_the_saver(tf1, tmp_path):
    """The check of a whole model refuses what this module finds."""
    copy = shutil.copytree(tf1, tmp_path / "copy")
    model = _SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    depend_on_write(model.meta_graphs[0])
    (copy / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"SaveV2 at node save/SaveV2, outside the saver: only"):
        check_model(copy)
