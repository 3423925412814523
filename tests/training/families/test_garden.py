"""The model garden's families: the contract, weights to begin with, settings, precision, two Kerases."""

import importlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from detector.errors import SettingsError
from detector.models.guard import check_model
from detector.training.families import garden
from detector.training.families.family import FamilyRequest
from detector.training.families.registry import build_detector
from detector.training.train_settings import AnchorSettings, NetworkSettings

BOXES_WH = np.array([[0.2, 0.2], [0.3, 0.5], [0.5, 0.3]], np.float32)
ROWS = 3
# The smallest that each has; canvases of 96 px.
SMALL = {
    "faster_rcnn": {"backbone": "resnet_10", "levels": (3, 5), "pyramid_width": 16, "head_depth": 1},
    "cascade_rcnn": {
        "backbone": "mobilenet_v3_small",
        "levels": (4, 5),
        "pyramid_width": 16,
        "head_depth": 1,
    },
    "garden_retinanet": {"backbone": "resnet_10", "levels": (3, 5), "pyramid_width": 16, "head_depth": 1},
    "yolo_v3": {"backbone": "darknet_tiny"},
    "yolo_v4": {"backbone": "cspdarknet_tiny"},
    "yolo_v7": {"backbone": "yolo_v7_pico"},
    "centernet": {"backbone": "hourglass_10", "pyramid_width": 8},
    "detr": {"backbone": "mobilenet_v3_small", "pyramid_width": 32, "head_depth": 1},
}
DECODED_ROWS = {
    "faster_rcnn": 1000,  # the best of 567 proposals times 4 classes
    "cascade_rcnn": 135,
    "garden_retinanet": 1701,
    "yolo_v3": 135,
    "yolo_v4": 135,
    "yolo_v7": 567,
    "centernet": 200,
    "detr": 100,
}


def build(architecture, *, class_count=4, seed=0, **settings):
    """Build a small detector of an architecture."""
    keras.utils.set_random_seed(seed)
    chosen = {"input_px": 96, **SMALL[architecture], **settings}
    network = NetworkSettings(architecture=architecture, **chosen)
    return build_detector(FamilyRequest(network, class_count, BOXES_WH, max_boxes=ROWS))


@pytest.fixture(scope="module")
def detectors():
    """Build each architecture once, untrained; tests may train it."""
    built = {}

    def give(architecture):
        if architecture not in built:
            built[architecture] = build(architecture)
        return built[architecture]

    return give


def fit(detector, drawn, *, steps):
    """Fit to the drawn pictures as the training loop does, in a graph for any batch; give the loss before each step."""
    variables = detector.model.trainable_variables
    optimizer = detector.keras.optimizers.Adam(3e-3, global_clipnorm=10.0)
    optimizer.build(variables)

    def step(pixels, boxes, class_ids):
        targets = detector.encode_targets(boxes, class_ids)
        with tf.GradientTape() as tape:
            total = tf.add_n(list(detector.compute_losses(pixels, targets, training=True).values()))
        pairs = zip(tape.gradient(total, variables), variables, strict=True)
        optimizer.apply_gradients([pair for pair in pairs if pair[0] is not None])
        return total

    batch = [tf.constant(each) for each in drawn]
    specs = [tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in batch]
    traced = tf.function(step, input_signature=specs, autograph=False)
    return [float(traced(*batch)) for _ in range(steps)]


def compare_export(detector, pixels, folder):
    """Export the decoding as the exporter does, ask the guard, and compare with eager at two batch sizes."""
    module = tf.Module()
    module.model = list(detector.model.variables)
    spec = tf.TensorSpec([None, *pixels.shape[1:]], tf.float32)
    module.decode = tf.function(detector.decode, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder))
    check_model(folder)
    loaded = tf.saved_model.load(str(folder))
    for size in (1, 3):
        wanted, found = detector.decode(tf.constant(pixels[:size])), loaded.decode(pixels[:size])
        for rows, others in zip(*(np.concatenate(pair, axis=-1) for pair in (wanted, found)), strict=True):
            # Proposals of equal scores may change places: each has its like on the other side.
            apart = np.abs(rows[:, None] - others[None]).max(axis=-1)
            assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 1e-3


@pytest.mark.parametrize("architecture", SMALL)
def test_decodes_trains_and_comes_back_from_a_saved_model(architecture, detectors, drawn, tmp_path):
    """Rows are fixed, the loss of four pictures falls, and the export gives what eager gives, for any batch."""
    detector = detectors(architecture)
    boxes, scores = detector.decode(tf.constant(drawn[0]))
    assert boxes.shape == (4, DECODED_ROWS[architecture], 4)
    assert scores.shape == (4, DECODED_ROWS[architecture], 4)
    assert 0 <= float(tf.reduce_min(scores)) <= float(tf.reduce_max(scores)) <= 1
    losses = fit(detector, drawn, steps=12)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < 0.85 * losses[0]
    compare_export(detector, drawn[0], tmp_path / "exported")


@pytest.mark.parametrize(
    "architecture", [name for name in SMALL if name not in {"faster_rcnn", "cascade_rcnn"}]
)
def test_padding_changes_no_loss(architecture, detectors, drawn):
    """More rows of padding, before and between the objects, leave the losses as they are."""
    detector = detectors(architecture)
    pixels, boxes, class_ids = drawn
    mixed = np.zeros((4, 2 * ROWS, 4), np.float32), np.zeros((4, 2 * ROWS), np.int32)
    mixed[0][:, 1::2], mixed[1][:, 1::2] = boxes, class_ids
    found = [
        detector.compute_losses(
            tf.constant(pixels),
            detector.encode_targets(tf.constant(own_boxes), tf.constant(own_ids)),
            training=False,
        )
        for own_boxes, own_ids in ((boxes, class_ids), mixed)
    ]
    for name, loss in found[0].items():
        assert float(found[1][name]) == pytest.approx(float(loss), rel=1e-4)


def test_padding_changes_no_target_of_proposals(detectors, drawn):
    """The offsets of Faster R-CNN's anchors, which nothing is drawn for, are those of the objects alone."""
    detector = detectors("faster_rcnn")
    _, boxes, class_ids = drawn
    padded = np.pad(boxes, ((0, 0), (2, 0), (0, 0))), np.pad(class_ids, ((0, 0), (2, 0)))
    alone = detector.encode_targets(tf.constant(boxes), tf.constant(class_ids))["rpn_box_targets"]
    among = detector.encode_targets(*map(tf.constant, padded))["rpn_box_targets"]
    assert sum(np.abs(level).sum() for level in alone.values()) > 0
    for level, offsets in alone.items():
        np.testing.assert_array_equal(among[level], offsets)


def test_losses_outside_training_leave_the_statistics(detectors, drawn):
    """Faster R-CNN's losses of a validation batch use the running statistics and don't move them."""
    detector = detectors("faster_rcnn")
    targets = detector.encode_targets(tf.constant(drawn[1]), tf.constant(drawn[2]))
    for training in (False, True):
        before = [variable.numpy() for variable in detector.model.non_trainable_variables]
        detector.compute_losses(tf.constant(drawn[0]), targets, training=training)
        after = [variable.numpy() for variable in detector.model.non_trainable_variables]
        moved = any((one != other).any() for one, other in zip(before, after, strict=True))
        assert moved == training


def test_pictures_without_objects_train(detectors, drawn):
    """A batch without any object has finite losses and finite gradients."""
    detector = detectors("garden_retinanet")
    targets = detector.encode_targets(tf.zeros([4, ROWS, 4]), tf.zeros([4, ROWS], tf.int32))
    with tf.GradientTape() as tape:
        losses = detector.compute_losses(tf.constant(drawn[0]), targets, training=True)
        total = tf.add_n(list(losses.values()))
    gradients = tape.gradient(total, detector.model.trainable_variables)
    assert np.isfinite(float(total))
    assert all(np.isfinite(gradient).all() for gradient in gradients if gradient is not None)


def test_stages_hold_each_weight_of_the_backbone_once(detectors):
    """A ResNet has its stem and four stages, and freezing them freezes the backbone alone."""
    detector = detectors("garden_retinanet")
    stages = detector.backbone_stages
    assert len(stages) == 5
    weights = [id(weight) for stage in stages for layer in stage for weight in layer.weights]
    assert sorted(weights) == sorted(id(weight) for weight in detector.model.backbone.weights)


def test_seed_decides_the_weights():
    """The seed that Keras 3 is given makes the same network of tf_keras, another one another."""
    one, same, other = (build("garden_retinanet", seed=seed).model.get_weights() for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_precision_of_keras_is_that_of_the_garden(policy, drawn):
    """A network is built in the precision that Keras 3 has then; its losses and boxes are float32."""
    keras.config.set_dtype_policy(policy)
    try:
        detector = build("garden_retinanet")
    finally:
        keras.config.set_dtype_policy("float32")
    assert detector.model.backbone.layers[1].compute_dtype == policy.removeprefix("mixed_")
    assert garden.tf_keras.mixed_precision.global_policy().name == "float32"
    targets = detector.encode_targets(tf.constant(drawn[1]), tf.constant(drawn[2]))
    losses = detector.compute_losses(tf.constant(drawn[0]), targets, training=True)
    assert all(loss.dtype == tf.float32 and np.isfinite(loss) for loss in losses.values())
    assert {each.dtype for each in detector.decode(tf.constant(drawn[0]))} == {tf.float32}


def test_detr_refuses_another_precision():
    """Its transformer fails on mixed types, so it says so before it's built."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(SettingsError, match=r"fit\.precision"):
            build("detr")
    finally:
        keras.config.set_dtype_policy("float32")


def test_one_class_of_yolo_v7_scores_its_objectness(drawn):
    """With one class nothing teaches the class, so it has no say."""
    detector = build("yolo_v7", class_count=1)
    level = detector.predict(tf.constant(drawn[0]), training=False)["3"]
    _, scores = detector.decode(tf.constant(drawn[0]))
    wanted = tf.sigmoid(tf.reshape(level[..., 4], [4, -1]))
    np.testing.assert_allclose(scores[:, : wanted.shape[1], 0], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "settings", "message"),
    [
        ("garden_retinanet", {"backbone": "resnet_51"}, "did you mean resnet_"),
        ("garden_retinanet", {"levels": (1, 5)}, "model.levels"),
        ("garden_retinanet", {"backbone": "spinenet_49s", "pyramid_width": None}, "multiple of 128"),
        ("faster_rcnn", {"backbone": "spinenet_49s"}, "model.pyramid_width"),
        ("yolo_v3", {"levels": (3, 4)}, "model.levels"),
        ("yolo_v4", {"backbone": "cspdarknet"}, "did you mean cspdarknet_"),
        ("yolo_v7", {"anchors": AnchorSettings(sizes=[2.0])}, "model.anchors"),
        ("centernet", {"head_depth": 2}, "model.head_depth"),
        ("centernet", {"backbone": "hourglass_52"}, "multiple of 128"),
        ("detr", {"anchors": AnchorSettings(aspect_ratios=[1.0])}, "model.anchors"),
    ],
)
def test_settings_that_cannot_be_followed_are_named(architecture, settings, message):
    """What a family can't do is an error that names the setting."""
    with pytest.raises(SettingsError, match=message):
        build(architecture, **settings)


def test_legacy_keras_and_a_missing_garden_are_refused(monkeypatch):
    """TF_USE_LEGACY_KERAS is an error that says to unset it; without the packages the extra is named."""
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(SettingsError, match="unset it"):
        importlib.reload(garden)
    monkeypatch.delenv("TF_USE_LEGACY_KERAS")
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(SettingsError, match="extra 'garden'"):
        importlib.reload(garden)
