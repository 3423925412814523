"""RetinaNet: the contract of families, its mended losses and priors, presets and earlier runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from detector.errors import ModelError, SettingsError
from detector.training.families.family import FamilyRequest
from detector.training.families.retinanet import build_detector, compute_retinanet_losses
from detector.training.families.weights import RUN_WEIGHTS
from detector.training.train_settings import AnchorSettings, NetworkSettings

BOXES_WH = np.array([[0.2, 0.2], [0.3, 0.5], [0.5, 0.3]], np.float32)


def build(*, class_count=4, seed=0, boxes_wh_norm=BOXES_WH, **settings):
    """Build a small RetinaNet over the plain backbone."""
    chosen = {"backbone": "plain", "levels": (3, 6), "pyramid_width": 32, "head_depth": 1, "input_px": 96}
    keras.utils.set_random_seed(seed)
    network = NetworkSettings(architecture="retinanet", **{**chosen, **settings})
    return build_detector(FamilyRequest(network, class_count, boxes_wh_norm, max_boxes=3))


def sum_losses(detector, targets, outputs):
    """Add up the losses of outputs."""
    return sum(float(loss) for loss in compute_retinanet_losses(targets, outputs).values())


def make_outputs(targets, class_count):
    """Turn targets into the outputs of a network that is sure of them."""
    logits = tf.one_hot(targets["class_ids"] - 1, class_count) * 40 - 20
    return {"logits": logits, "codes": targets["codes"]}


@pytest.fixture(scope="module")
def detector():
    """Build a small RetinaNet, untrained."""
    return build()


def test_decoding_gives_boxes_in_the_canvas_and_scores_by_class(detector, drawn):
    """One box per anchor, all within the canvas, and at first every score is near the prior of .01."""
    boxes, scores = detector.decode(drawn[0])
    anchors = (12 * 12 + 6 * 6 + 3 * 3 + 2 * 2) * 9
    assert anchors > 1000
    assert boxes.shape == (4, 1000, 4)
    assert scores.shape == (4, 1000, 4)
    assert float(tf.reduce_min(boxes)) >= 0
    assert float(tf.reduce_max(boxes)) <= 1
    assert np.median(scores) == pytest.approx(0.01, abs=0.005)


def test_encoded_targets_decode_to_the_boxes(detector, drawn):
    """A network that answers its targets gives each drawn box, with its class."""
    _, boxes, class_ids = drawn
    targets = detector.encode_targets(tf.constant(boxes), tf.constant(class_ids))
    found, scores = detector.decode_outputs(make_outputs(targets, 4))
    for picture, row in zip(*np.nonzero(class_ids), strict=True):
        sure = scores[picture, :, class_ids[picture, row] - 1] > 0.9
        errors = np.abs(found[picture] - boxes[picture, row]).max(axis=-1)
        assert errors[sure].min() < 1e-3


def test_certain_answers_cost_nothing(detector, drawn):
    """Answering the targets has no loss; a wrong class and a wrong box each have."""
    targets = detector.encode_targets(tf.constant(drawn[1]), tf.constant(drawn[2]))
    right = make_outputs(targets, 4)
    assert sum_losses(detector, targets, right) < 1e-3
    assert sum_losses(detector, targets, {**right, "logits": -right["logits"]}) > 1
    assert sum_losses(detector, targets, {**right, "codes": right["codes"] + 1.0}) > 1


def test_ignored_anchors_cost_nothing_and_teach_nothing(detector, drawn):
    """Whatever an anchor between the thresholds says, loss and gradient stay as they are."""
    targets = detector.encode_targets(tf.constant(drawn[1]), tf.constant(drawn[2]))
    ignored = targets["class_ids"].numpy() == -1
    assert ignored.any()
    outputs = make_outputs(targets, 4)
    logits = tf.where(ignored[..., None], 5.0, outputs["logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = compute_retinanet_losses(targets, {**outputs, "logits": logits})
        total = tf.add_n(list(losses.values()))
    assert float(total) < 1e-3
    assert not np.any(tape.gradient(total, logits).numpy()[ignored])


def test_padding_changes_nothing(detector, drawn):
    """More rows of zeros give the same targets and so the same loss."""
    _, boxes, class_ids = drawn
    short = detector.encode_targets(tf.constant(boxes), tf.constant(class_ids))
    long = detector.encode_targets(
        tf.constant(np.pad(boxes, [(0, 0), (0, 5), (0, 0)])), tf.constant(np.pad(class_ids, [(0, 0), (0, 5)]))
    )
    for key, values in short.items():
        np.testing.assert_array_equal(long[key], values)


def test_picture_without_objects_has_a_finite_loss(detector, drawn):
    """All background: only classes are taught."""
    targets = detector.encode_targets(tf.zeros((4, 3, 4)), tf.zeros((4, 3), tf.int32))
    losses = detector.compute_losses(tf.constant(drawn[0]), targets, training=False)
    assert float(losses["box_loss"]) == 0
    assert 0 < float(losses["class_loss"]) < 100


def test_loss_falls(fit_steps):
    """Fifteen steps on four pictures bring the loss down by a third and more."""
    losses = fit_steps(build(), steps=15, rate=3e-3)
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.67 * losses[0]


def test_anchors_follow_settings_then_data():
    """Sizes and ratios are the settings' where given, else the data's."""
    given = build(anchors=AnchorSettings(sizes=[2.0], aspect_ratios=[1.0, 3.0]))
    assert (given.grid.sizes, given.grid.aspect_ratios) == ((2.0,), (1.0, 3.0))
    assert build(boxes_wh_norm=np.full((5, 2), 0.5, np.float32)).grid.sizes[0] == pytest.approx(6.0)


def test_keras_preset_of_a_retinanet_gives_backbone_and_pyramid(tmp_path, drawn):
    """A preset's folder, saved by KerasHub: its maps are the same, its levels hold, heads are new."""
    from keras_hub.models import ResNetBackbone, RetinaNetBackbone

    encoder = ResNetBackbone(
        [64], [7], [64, 64, 64, 64], [1, 1, 1, 1], [1, 2, 2, 2], "basic_block", image_shape=(None, None, 3)
    )
    saved = RetinaNetBackbone(encoder, min_level=3, max_level=6, use_p5=False, image_shape=(None, None, 3))
    saved.save_to_preset(str(tmp_path))
    settings = {"backbone": None, "levels": None, "pyramid_width": None, "weights": str(tmp_path)}
    detector = build(**settings)
    assert detector.grid.levels == (3, 4, 5, 6)
    assert detector.model.get_layer("logits_head").num_filters == 256
    assert [len(stage) > 0 for stage in detector.backbone_stages] == [True] * 5
    layer = next(layer for layer in detector.model.layers if isinstance(layer, RetinaNetBackbone))
    wanted, found = saved(drawn[0] / 255), layer(drawn[0] / 255)
    for level, values in wanted.items():
        np.testing.assert_allclose(found[level], values, atol=1e-4)
    with pytest.raises(SettingsError, match=r"model\.levels is \(3, 5\), but the preset"):
        build(**{**settings, "levels": (3, 5)})


def test_earlier_run_continues_with_other_classes(tmp_path, drawn):
    """All but the logits of the classes come from the run; its own settings give its own answers."""
    earlier = build(seed=9)
    earlier.model.save_weights(tmp_path / RUN_WEIGHTS)
    same, more = build(weights=str(tmp_path)), build(weights=str(tmp_path), class_count=6)
    outputs = [each.model(drawn[0]) for each in (earlier, same, more)]
    np.testing.assert_allclose(outputs[1]["logits"], outputs[0]["logits"], atol=1e-6)
    np.testing.assert_allclose(outputs[2]["codes"], outputs[0]["codes"], atol=1e-6)
    assert outputs[2]["logits"].shape[-1] == 6
    with pytest.raises(ModelError, match="of another network: expected"):
        build(weights=str(tmp_path), levels=(3, 5))


def test_refuses_a_width_that_group_norm_cannot_divide():
    """KerasHub's heads have 32 groups."""
    with pytest.raises(SettingsError, match=r"model\.pyramid_width is 48"):
        build(pyramid_width=48)
