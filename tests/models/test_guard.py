"""The guard lets every real detector pass, and what it knows is what TensorFlow has."""

import shutil
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import graph_pb2, node_def_pb2

from detector.errors import ModelError
from detector.models.guard import check_digest, check_model
from detector.models.op_list import explain_refusal, list_allowed
from detector.models.package import compute_digest
from detector.models.protobufs import _SavedModel
from detector.models.signature import locate_model, read_signature
from detector.scoring.scorer import load_scorer
from detector.settings import ModelSettings

DEMO_MODEL = Path(__file__).resolve().parents[2] / "conf" / "demo" / "saved_model"
KINDS = (
    "batch_one", "dynamic", "encoded", "encoded_scalar", "tf_example", "tf1_saved_model", "frozen_graph",
    "garden_pixels", "garden_normalised", "keras",
)  # fmt: skip


@pytest.fixture(scope="session")
def tf1_with_variables(tmp_path_factory):
    """Save a TF1 SavedModel with a variable of each sort, whose saver lies in the main graph."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("tf1") / "model"
    with tf.Graph().as_default():
        x = y = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        for sort in (True, False):
            y += tf.reduce_sum(tf.compat.v1.get_variable(f"v{sort}", [3], use_resource=sort))
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})
    return folder


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """Save a model that looks names up in tables filled from constants, one of which it could save."""
    import tensorflow as tf

    module = tf.Module()
    names = tf.lookup.KeyValueTensorInitializer(tf.constant(["a"]), tf.constant([1.0]))
    module.fixed = tf.lookup.StaticHashTable(names, 0.0)
    module.growing = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 0.0)
    module.weight = tf.Variable(2.0)

    def look_up(name):
        return {"found": module.fixed.lookup(name) * module.weight + module.growing.lookup(name)}

    spec = tf.TensorSpec([None], tf.string)
    folder = tmp_path_factory.mktemp("tables") / "model"
    tf.saved_model.save(module, str(folder), signatures=tf.function(look_up, input_signature=[spec]))
    return folder


@pytest.fixture(scope="session")
def retinanet(tmp_path_factory):
    """Export a small RetinaNet from Keras: a pyramid, two heads on each level, combined suppression."""
    import keras
    import tensorflow as tf

    class Suppress(keras.Layer):
        def call(self, boxes, scores):
            found = tf.image.combined_non_max_suppression(boxes[:, :, None], scores, 10, 20)
            return found.nmsed_boxes, found.nmsed_scores, found.nmsed_classes

        def compute_output_spec(self, boxes, scores):
            return tuple(keras.KerasTensor((None, 20, *last)) for last in ((4,), (), ()))

    layers = keras.layers
    images = keras.Input((64, 64, 3), name="images")
    fine = layers.Conv2D(8, 3, 8, padding="same", activation="swish")(layers.Rescaling(1 / 255)(images))
    coarse = layers.BatchNormalization()(layers.SeparableConv2D(8, 3, 2, padding="same")(fine))
    levels = [layers.Add()([fine, layers.UpSampling2D()(coarse)]), coarse]
    heads = [layers.Conv2D(4, 3, padding="same"), layers.Conv2D(3, 3, padding="same", activation="sigmoid")]
    boxes, scores = (
        layers.Concatenate(1)([layers.Reshape((-1, head.filters))(head(level)) for level in levels])
        for head in heads
    )
    boxes, confidence, labels = Suppress()(boxes, scores)
    model = keras.Model(images, {"boxes": boxes, "confidence": confidence, "labels": labels})
    folder = tmp_path_factory.mktemp("keras") / "model"
    model.export(str(folder), verbose=False)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_detector_passes(build, kind):
    """What the signature reader takes, the guard takes without an exception."""
    check_model(build(kind))


@pytest.mark.parametrize("name", ["tf1_with_variables", "tables", "retinanet"])
def test_savers_tables_and_suppression_pass(request, name):
    """TF1's and TF2's savers, tables filled from constants and a Keras detector need no exception."""
    check_model(request.getfixturevalue(name))


def test_demo_model_passes_wherever_it_is_linked_to(tmp_path):
    """The model's folder itself may be a link, as releases have it, and a link inside may stay inside."""
    shutil.copytree(DEMO_MODEL, tmp_path / "v1")
    (tmp_path / "v1" / "again.pb").symlink_to("saved_model.pb")
    (tmp_path / "current").symlink_to("v1")
    check_model(tmp_path / "current")


@pytest.mark.data
@pytest.mark.parametrize("form", [".", "frozen_inference_graph.pb"])
def test_real_detector_passes(data_pack, form):
    """A detector that others trained and exported needs no exception in either form."""
    check_model(locate_model(data_pack / "models" / "yolo_fastest_xl_coco" / form))


@pytest.mark.data
def test_what_is_no_detector_is_refused_as_such(data_pack):
    """A graph with file readers and no boxes is said to be no detector, which helps more."""
    settings = ModelSettings(uri=str(data_pack / "models" / "not_a_detector" / "mtcnn.pb"))
    with pytest.raises(ModelError, match="no detection model"):
        load_scorer(settings)


def test_digest_that_was_pinned_passes():
    """Capitals don't matter, and the job's loader asks."""
    digest = compute_digest(DEMO_MODEL)
    assert load_scorer(ModelSettings(uri=str(DEMO_MODEL), sha256=digest.upper())).model_digest == digest


def test_other_digest_is_refused():
    """The message gives what was found and what was pinned."""
    with pytest.raises(ModelError, match=f"{compute_digest(DEMO_MODEL)}, but model.sha256 is {'0' * 64}"):
        load_scorer(ModelSettings(uri=str(DEMO_MODEL), sha256="0" * 64))


@given(st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_only_the_same_digest_passes(found, pinned):
    """No other digest is near enough."""
    if found == pinned:
        check_digest(found, pinned)
    else:
        with pytest.raises(ModelError):
            check_digest(found, pinned)


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda op: op not in list_allowed()))
def test_unknown_operations_are_refused(tmp_path_factory, op):
    """Whatever isn't on the list is refused, and the message stays on one line that shows in a log."""
    file = tmp_path_factory.getbasetemp() / "unknown.pb"
    graph = graph_pb2.GraphDef(node=[node_def_pb2.NodeDef(name=op, op=op)])
    file.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError) as caught:
        check_model(file)
    assert str(caught.value).isprintable()


def test_reasons_are_told_by_family():
    """Those that have a name for what they do get it, the others what the list is."""
    said = [explain_refusal(op) for op in ("WriteFile", "TFRecordDatasetV2", "PyFunc", "Evil>Custom")]
    assert [why.split()[1] for why in said] == ["writes", "reads", "runs", "isn't"]


def test_allowed_operations_are_what_their_reason_says():
    """Each is TensorFlow's; each that TensorFlow calls stateful is in a family whose reason owns up to it."""
    from tensorflow.python.framework import op_def_registry

    families = tomllib.loads(files("detector.models").joinpath("op_list.toml").read_text())["allowed"]
    for name, family in families.items():
        definitions = [op_def_registry.get(op) for op in family["ops"]]
        assert None not in definitions, name
        assert family["ops"] == sorted(set(family["ops"])), name
        stateful = [definition.name for definition in definitions if definition.is_stateful]
        assert not stateful or "stateful" in family["why"], (name, stateful)


def test_messages_have_all_fields_of_tensorflows():
    """A field that only TensorFlow knew could hide a node from the guard."""
    from tensorflow.core.protobuf import saved_model_pb2

    def list_fields(message):
        waiting, found = [message], {}
        while waiting:
            one = waiting.pop()
            if one.name not in found:
                found[one.name] = {(field.number, field.name, field.type) for field in one.fields}
                waiting += [field.message_type for field in one.fields if field.message_type]
        return found

    assert list_fields(_SavedModel.DESCRIPTOR) == list_fields(saved_model_pb2.SavedModel.DESCRIPTOR)


def test_signature_is_read_of_what_passes(retinanet):
    """The small RetinaNet is a detector to the rest of the project, too."""
    assert read_signature(retinanet).family == "keras"


def refuse(folder, *nodes):
    """Give what is said of a graph of (name, op)."""
    file = folder / "graph.pb"
    graph = graph_pb2.GraphDef(node=[node_def_pb2.NodeDef(name=name, op=op) for name, op in nodes])
    file.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError) as caught:
        check_model(file)
    return str(caught.value)


@pytest.mark.parametrize(("count", "more"), [(1, ""), (5, ""), (6, "; and 1 more"), (9, "; and 4 more")])
def test_five_refusals_are_shown_and_the_rest_counted(tmp_path, count, more):
    """And all of up to ten names are in what model.trust_ops would say."""
    said = refuse(tmp_path, *((f"n{number}", f"Evil{number}") for number in range(count)))
    assert said.count(" at node n") == min(count, 5)
    assert f"are known to need{more}; get a model" in said
    assert said.partition("trust_ops: ")[2] == f"[{', '.join(f'Evil{number}' for number in range(count))}]"


@pytest.mark.parametrize("length", [79, 80, 81])
def test_long_names_are_cut(tmp_path, length):
    """An operation's to 80 letters, its place to three times as many."""
    said = refuse(tmp_path, ("n" * 400, "E" * length))
    shown = "E" * min(length, 80) + ("..." if length > 80 else "")
    assert f"refused, nothing of it was loaded: {shown} at node {'n' * 235}...: it" in said
    assert said.endswith(f"[{shown}]")


def test_what_no_setting_accepts_names_no_setting(tmp_path):
    """Beside an operation that could be trusted there is a print to a file, which can't."""
    file = tmp_path / "graph.pb"
    printing = node_def_pb2.NodeDef(name="p", op="PrintV2")
    printing.attr["output_stream"].s = b"file:///tmp/x"
    graph = graph_pb2.GraphDef(node=[printing, node_def_pb2.NodeDef(name="e", op="Evil")])
    file.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=r"get a model without them$"):
        check_model(file)
