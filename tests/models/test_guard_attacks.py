"""Models that would do more than detect are refused before they can: each attack is made for real.

The target of every attack is a file that must not appear; that the attacks would work is shown, too.
"""

import shutil
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import meta_graph_pb2

from detector.errors import ModelError
from detector.models.guard import check_model
from detector.models.predictor import load_predictor
from detector.models.protobufs import _SavedModel
from detector.models.signature import read_signature
from detector.settings import ModelSettings


def write(target):
    """Write a file: the plainest attack."""
    import tensorflow as tf

    tf.io.write_file(str(target), "taken")
    return tf.constant(1.0)


def write_in_nested_function(target):
    """Write from a function that a function calls."""
    import tensorflow as tf

    @tf.function
    def inner():
        return write(target)

    return tf.function(lambda: inner() + 1.0)()


def write_in_loop(target):
    """Write from the body of a loop."""
    import tensorflow as tf

    return tf.while_loop(lambda n: n < 3, lambda n: (n + write(target),), (tf.constant(0.0),))[0]


def write_in_branch(target):
    """Write from one branch of a condition, which only some pictures take."""
    import tensorflow as tf

    random = tf.random.uniform([])
    return tf.cond(random < 2, lambda: write(target), lambda: random)


def write_in_map(target):
    """Write from what is mapped over a tensor."""
    import tensorflow as tf

    return tf.reduce_sum(tf.map_fn(lambda n: n + write(target), tf.zeros([2])))


def print_to_file(target):
    """Print into a file, by an operation that is mostly harmless."""
    import tensorflow as tf

    tf.print("taken", output_stream=f"file://{target}")
    return tf.constant(1.0)


def save_checkpoint(target):
    """Write by the operation that savers use, elsewhere."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(prefix=str(target), tensor_names=["x"], shape_and_slices=[""], tensors=[[1.0]])
    return tf.constant(1.0)


def read(target):
    """Read a file, whose bytes could become boxes."""
    import tensorflow as tf

    return tf.cast(tf.strings.length(tf.io.read_file(str(target))), tf.float32)


def list_files(target):
    """List the files of a folder."""
    import tensorflow as tf

    return tf.cast(tf.size(tf.io.matching_files(f"{target}*")), tf.float32)


def map_file(target):
    """Read a file by an operation that TensorFlow counts as a constant."""
    import tensorflow as tf

    return tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[], memory_region_name=str(target))


def restore_checkpoint(target):
    """Read another checkpoint than the model's own."""
    import tensorflow as tf

    return tf.raw_ops.RestoreV2(
        prefix=str(target), tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]


def call_python(target):
    """Call Python in this process."""
    import tensorflow as tf

    return tf.py_function(lambda: target.touch() or 1.0, [], tf.float32)


def call_numpy(target):
    """Call Python by the older operation."""
    import tensorflow as tf

    return tf.numpy_function(lambda: target.touch() or 1.0, [], tf.double)


def read_lines(target):
    """Read a file line by line, through a dataset."""
    import tensorflow as tf

    return tf.data.TextLineDataset(str(target)).reduce(0.0, lambda n, _: n + 1)


def write_summary(target):
    """Write an event file."""
    import tensorflow as tf

    writer = tf.raw_ops.SummaryWriter(shared_name="", container="")
    args = {"max_queue": 1, "flush_millis": 1, "filename_suffix": ""}
    tf.raw_ops.CreateSummaryFileWriter(writer=writer, logdir=str(target), **args)
    return tf.constant(1.0)


def end_process(target):
    """End the worker."""
    import tensorflow as tf

    tf.raw_ops.Abort(error_msg=str(target))
    return tf.constant(1.0)


ATTACKS = {  # attack: the operation that the message must name
    write: "WriteFile", write_in_nested_function: "WriteFile", write_in_loop: "WriteFile",
    write_in_branch: "WriteFile", write_in_map: "WriteFile", print_to_file: "PrintV2 to a file",
    save_checkpoint: "SaveV2", read: "ReadFile", list_files: "MatchingFiles", map_file: "ImmutableConst",
    restore_checkpoint: "RestoreV2", call_python: "EagerPyFunc", call_numpy: "PyFunc",
    read_lines: "TextLineDataset", write_summary: "CreateSummaryFileWriter", end_process: "Abort",
}  # fmt: skip


def save_attack(folder, attack, target):
    """Save a SavedModel that looks like a detector and attacks in each call."""
    import tensorflow as tf

    def detect(input_tensor):
        harm = tf.cast(attack(target), tf.float32)
        empty = tf.zeros([tf.shape(input_tensor)[0], 1]) + tf.reshape(harm, [-1])[:1] * 0
        named = {"scores": empty, "classes": empty, "boxes": tf.tile(empty[..., None], [1, 1, 4])}
        return {f"detection_{name}": values for name, values in named.items()}

    module = tf.Module()
    module.weight = tf.Variable(1.0)
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8, name="input_tensor")
    module.detect = tf.function(detect, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.detect)
    return folder


def save_initializer(folder, target):
    """Save a SavedModel with a table whose initializer writes: TensorFlow runs that while it loads."""
    import tensorflow as tf

    class Initializer(tf.lookup.KeyValueTensorInitializer):
        def initialize(self, table):
            write(target)
            return super().initialize(table)

    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(Initializer(tf.constant([1]), tf.constant([1.0])), 0.0)
    spec = tf.TensorSpec([None], tf.int32)
    find = tf.function(lambda name: {"found": module.table.lookup(name)}, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures=find)
    target.unlink()  # saving ran it once
    return folder


def save_tf1(folder, target, *, started):
    """Save a TF1 SavedModel with a write in its graph, which loading starts if asked to."""
    import tensorflow as tf

    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        y = x + tf.compat.v1.get_variable("v", [3])[0]
        harm = tf.io.write_file(str(target), "taken")
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            init = harm if started else None
            tf.compat.v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y}, init)
    return folder


def edit(folder, change):
    """Change the only graph of a SavedModel."""
    file = folder / "saved_model.pb"
    model = _SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    return folder


@pytest.fixture
def innocent(build, tmp_path):
    """Copy a good model, to be changed."""
    return shutil.copytree(build("dynamic"), tmp_path / "innocent")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_attack_is_refused_by_name_and_place(tmp_path, attack):
    """Wherever the operation hides, it is named with its node and function, and nothing happened."""
    target = tmp_path / "target"
    model = save_attack(tmp_path / "model", attack, target)
    with pytest.raises(ModelError, match=f"{ATTACKS[attack]} at node .* of function .*: ") as caught:
        check_model(model)
    assert "nothing of it was loaded" in str(caught.value)
    assert not list(tmp_path.glob("target*"))


@pytest.mark.parametrize("save", [save_initializer, lambda *to: save_tf1(*to, started=True)])
def test_write_while_loading_is_refused(tmp_path, save):
    """Loading alone would write: the guard refuses, and TensorFlow, which isn't asked here, would do it."""
    import tensorflow as tf

    target = tmp_path / "target"
    model = save(tmp_path / "model", target)
    with pytest.raises(ModelError, match="WriteFile"):
        check_model(model)
    assert not target.exists()
    tf.saved_model.load(str(model))
    assert target.exists()


def test_dead_write_is_refused(tmp_path):
    """Also a node that nothing starts: who looks at the model can't tell."""
    with pytest.raises(ModelError, match="WriteFile at node WriteFile"):
        check_model(save_tf1(tmp_path / "model", tmp_path / "target", started=False))


def test_write_in_frozen_graph_is_refused(tmp_path):
    """Frozen graphs are read like SavedModels, their function library too."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.function(lambda: write(tmp_path / "target"))()
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ModelError, match="WriteFile at node WriteFile of function __inference"):
        check_model(tmp_path / "graph.pb")


def test_refused_model_is_not_loaded_by_workers_either(tmp_path):
    """The one function that loads models checks them itself, whoever calls it."""
    model = save_attack(tmp_path / "model", write, tmp_path / "target")
    with pytest.raises(ModelError, match="refused"):
        load_predictor(model, read_signature(model), ModelSettings(uri=str(model)))
    assert not (tmp_path / "target").exists()


def test_check_starts_no_tensorflow(tmp_path):
    """The driver of a Spark job neither loads the model nor the library that could."""
    model = save_attack(tmp_path / "model", write, tmp_path / "target")
    code = (
        "import sys\nfrom pathlib import Path\nfrom detector.errors import ModelError\n"
        "from detector.models.guard import check_model\n"
        "try:\n    check_model(Path(sys.argv[1]))\n"
        "except ModelError:\n    sys.exit(9 if 'tensorflow' not in sys.modules else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(model)], check=False).returncode == 9


@pytest.mark.parametrize("attack", [write, save_checkpoint, call_python])
def test_trusted_operation_passes(tmp_path, attack):
    """model.trust_ops accepts what it names, and nothing else."""
    model = save_attack(tmp_path / "model", attack, tmp_path / "target")
    check_model(model, [ATTACKS[attack]])
    with pytest.raises(ModelError, match="trust_ops"):
        check_model(model, ["ReadFile"])


def test_printing_is_refused_unless_trusted(tmp_path):
    """A model may show pictures in the log only if somebody allowed it; a file is never the log."""

    def show(_):
        import tensorflow as tf

        tf.print("seen")
        return tf.constant(1.0)

    model = save_attack(tmp_path / "log", show, None)
    check_model(model, ["PrintV2"])
    with pytest.raises(ModelError, match="into the log"):
        check_model(model)
    with pytest.raises(ModelError, match="PrintV2 to a file"):
        check_model(save_attack(tmp_path / "file", print_to_file, tmp_path / "target"), ["PrintV2"])


def test_custom_operation_is_refused(innocent):
    """An operation that TensorFlow doesn't have would need a library of the model's maker."""

    def replace(graph):
        graph.graph_def.library.function[0].node_def.add(name="evil", op="Evil>Custom")

    with pytest.raises(ModelError, match="Evil>Custom at node evil of function"):
        check_model(edit(innocent, replace))


def test_operation_named_as_a_function_is_refused(innocent):
    """A loop may name an operation as its body; also inside the attributes of an attribute."""

    def hide(graph):
        node = graph.graph_def.node.add(name="loop", op="While")
        node.attr["body"].func.name = graph.graph_def.library.function[0].signature.name
        node.attr["body"].func.attr["f"].list.func.add(name="WriteFile")

    with pytest.raises(ModelError, match="WriteFile at node loop"):
        check_model(edit(innocent, hide))


@pytest.mark.parametrize("name", ["WriteFile", "Timestamp", "_Send", "Evil>Custom"])
def test_function_with_an_operations_name_is_refused(innocent, name):
    """Otherwise it would be hard to say which of the two runs."""

    def add(graph):
        graph.graph_def.library.function.add().signature.name = name

    with pytest.raises(ModelError, match="may not be named like an operation"):
        check_model(edit(innocent, add))


@pytest.mark.parametrize("field", ["registered_name", "registered_saver"])
def test_somebodys_classes_are_refused(innocent, field):
    """Objects that Python classes of the maker would restore aren't data."""

    def register(graph):
        setattr(graph.object_graph_def.nodes[1], field, "Custom.Evil")

    with pytest.raises(ModelError, match=r"Custom.Evil at object 1"):
        check_model(edit(innocent, register))


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("name", ["/etc/passwd", "../../outside"])
def test_assets_outside_are_refused(innocent, name, older):
    """An asset's path stays in the model's folder, in TF1's collection of them, too."""

    def point(graph):
        asset = meta_graph_pb2.AssetFileDef(filename=name)
        if older:
            graph.collection_def["saved_model_assets"].any_list.value.add(value=asset.SerializeToString())
        else:
            graph.asset_file_def.append(asset)

    with pytest.raises(ModelError, match=f"{name} at the model's assets"):
        check_model(edit(innocent, point))


def test_damaged_asset_list_is_refused(innocent):
    """What can't be read isn't passed over."""

    def damage(graph):
        graph.collection_def["saved_model_assets"].any_list.value.add(value=b"\xff")

    with pytest.raises(ModelError, match="damaged list"):
        check_model(edit(innocent, damage))


def test_stream_given_by_the_caller_is_refused(innocent):
    """Who trusts PrintV2 trusts the log: a stream that is known only in the call may be a file."""

    def add(graph):
        node = graph.graph_def.library.function[0].node_def.add(name="show", op="PrintV2")
        node.attr["output_stream"].placeholder = "stream"

    with pytest.raises(ModelError, match="PrintV2 to a file at node show"):
        check_model(edit(innocent, add), ["PrintV2"])


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_models_never_confuse_the_guard(build, tmp_path, data):
    """Any byte of a model may be another: it is refused by a model's error, or it passes."""
    content = bytearray((build("dynamic") / "saved_model.pb").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "saved_model.pb").write_bytes(content)
    with suppress(ModelError):
        check_model(tmp_path)


@pytest.mark.parametrize("target", ["/etc", "../outside.txt", "variables", "loop"])
def test_links_are_refused(innocent, target):
    """Nothing outside is read as if it were the model's, and no link hides a folder or leads nowhere."""
    (innocent.parent / "outside.txt").touch()
    (innocent / "loop").symlink_to(target)
    if target == "loop":  # it leads to itself: of no use, and of no harm
        check_model(innocent)
    else:
        with pytest.raises(ModelError, match="symbolic link at loop"):
            check_model(innocent)


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_second_model_in_the_folder_is_refused(innocent, name):
    """What is checked is what is loaded: there is no choice."""
    (innocent / name).touch()
    with pytest.raises(ModelError, match=f"{name} at the folder"):
        check_model(innocent)
