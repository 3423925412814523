"""D-FINE: the contract of families, its losses by hand-worked cases, presets and earlier runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from detector.errors import SettingsError
from detector.training.families.d_fine import build_detector, decode_layer
from detector.training.families.d_fine_losses import (
    EdgeScale,
    Layer,
    Objects,
    compute_d_fine_losses,
    compute_giou,
    locate_edges,
    match_layers,
)
from detector.training.families.family import FamilyRequest
from detector.training.families.weights import RUN_WEIGHTS
from detector.training.train_settings import AnchorSettings, NetworkSettings

SCALE = EdgeScale(tf.linspace(-4.0, 4.0, 33), tf.constant(4.0))


def build(*, class_count=4, seed=0, max_boxes=3, **settings):
    """Build a small D-FINE over the plain backbone."""
    chosen = {"backbone": "plain", "levels": (4, 5), "pyramid_width": 16, "head_depth": 1, "input_px": 96}
    keras.utils.set_random_seed(seed)
    network = NetworkSettings(architecture="d_fine", **{**chosen, **settings})
    return build_detector(FamilyRequest(network, class_count, np.zeros((0, 2), np.float32), max_boxes))


@pytest.fixture(scope="module")
def detector():
    """Build a small D-FINE, untrained."""
    return build()


def make_objects(boxes, class_ids, class_count=2):
    """Make the objects of a batch from boxes and ids, 0 for padding."""
    class_ids = np.array(class_ids)
    return Objects(
        tf.constant(boxes, tf.float32), tf.one_hot(class_ids - 1, class_count), tf.constant(class_ids > 0)
    )


def test_encoded_targets_decode_to_the_boxes(detector, drawn):
    """A layer whose first queries say the targets gives the drawn boxes and classes."""
    targets = detector.encode_targets(tf.constant(drawn[1]), tf.constant(drawn[2]))
    logits = tf.one_hot(targets["class_ids"] - 1, 4) * 40 - 20
    boxes, scores = decode_layer(Layer(logits, targets["boxes"]))
    np.testing.assert_allclose(boxes, drawn[1], atol=1e-6)
    assert (scores.numpy().argmax(axis=-1) + 1)[drawn[2] > 0].tolist() == drawn[2][drawn[2] > 0].tolist()


def test_each_picture_is_matched_with_its_own_objects():
    """Two pictures whose queries say exactly their objects cost nothing but certainty; swapped ones cost."""
    boxes = [[[0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.2, 0.4]], [[0.5, 0.5, 0.8, 0.8], [0, 0, 0, 0]]]
    objects = make_objects(boxes, [[1, 2], [2, 0]])
    queries = tf.constant([[boxes[0][1], [0.5, 0.1, 0.1, 0.1], boxes[0][0]], [boxes[1][0]] * 3], tf.float32)
    classes = tf.constant([[2, 0, 1], [2, 0, 0]])
    layer = Layer(tf.one_hot(classes - 1, 2) * 60 - 30, queries)
    assert match_layers([layer], objects)[0].numpy()[objects.real.numpy()].tolist() == [2, 0, 0]
    losses = compute_d_fine_losses([layer], objects, SCALE)
    assert sum(float(loss) for loss in losses.values()) < 1e-3
    swapped = Layer(layer.logits[::-1], layer.boxes[::-1])
    assert float(compute_d_fine_losses([swapped], objects, SCALE)["box_loss"]) > 0.5


def test_padding_changes_nothing(detector, drawn):
    """More rows of zeros, or the objects in other rows, leave every loss as it is."""
    pixels, boxes, class_ids = drawn
    padded = np.pad(boxes, [(0, 0), (2, 3), (0, 0)]), np.pad(class_ids, [(0, 0), (2, 3)])
    losses = [
        detector.compute_losses(
            tf.constant(pixels), detector.encode_targets(*map(tf.constant, each)), training=False
        )
        for each in ((boxes, class_ids), padded)
    ]
    for name, loss in losses[0].items():
        assert float(losses[1][name]) == pytest.approx(float(loss), rel=1e-4)


def test_picture_without_objects_has_a_finite_loss(detector, drawn):
    """All background: only classes are taught, and gradients are finite."""
    targets = detector.encode_targets(tf.zeros((4, 3, 4)), tf.zeros((4, 3), tf.int32))
    with tf.GradientTape() as tape:
        losses = detector.compute_losses(tf.constant(drawn[0]), targets, training=True)
        total = tf.add_n(list(losses.values()))
    assert float(losses["box_loss"]) == float(losses["giou_loss"]) == float(losses["edge_loss"]) == 0
    assert float(losses["class_loss"]) > 0
    gradients = tape.gradient(total, detector.model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients if gradient is not None)


def test_edges_are_located_between_their_bins():
    """A box as wide as its reference has each edge at distance 0; half a bin further out lies between two."""
    reference = tf.constant([[0.5, 0.5, 0.4, 0.2]])
    below, above = locate_edges(reference, reference, SCALE)
    np.testing.assert_allclose(below.numpy() + above.numpy(), [[16] * 4], atol=1e-4)
    # One unit is a quarter of a side and a bin is a quarter of a unit.
    wider = reference + tf.constant([[0.0, 0.0, 2 * 0.4 / 32, 0.0]])
    below, above = locate_edges(wider, reference, SCALE)
    np.testing.assert_allclose(below.numpy() + above.numpy(), [[16.5, 16, 16.5, 16]], atol=1e-3)


def test_giou_hand_worked():
    """Equal boxes 1; two unit boxes a unit apart: no overlap, a hull of three, of which one is between."""
    one, other = tf.constant([0.5, 0.5, 1.0, 1.0]), tf.constant([2.5, 0.5, 1.0, 1.0])
    assert float(compute_giou(one, one)[1]) == pytest.approx(1, abs=1e-5)
    assert [float(value) for value in compute_giou(one, other)] == pytest.approx([0, -1 / 3], abs=1e-5)


def test_classes_hand_worked():
    """At a probability of a half: the matched query weighs by its IoU of 1, the other .75 x .5 squared."""
    objects = make_objects([[[0.5, 0.5, 0.4, 0.4]]], [[1]], class_count=1)
    boxes = tf.constant([[[0.5, 0.5, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]]])
    losses = compute_d_fine_losses([Layer(tf.zeros((1, 2, 1)), boxes)], objects, SCALE)
    assert float(losses["class_loss"]) == pytest.approx((1 + 0.1875) * np.log(2), rel=1e-4)


def test_distillation_teaches_earlier_layers_alone():
    """Layers that agree with the last have none of it; the last one's edges get no gradient from it."""
    objects = make_objects([[[0.5, 0.5, 0.4, 0.4]]], [[1]])
    boxes, logits = (
        tf.constant([[[0.5, 0.5, 0.4, 0.4], [0.2, 0.2, 0.1, 0.1]]]),
        tf.constant([[[2.0, -2.0]] * 2]),
    )
    edges = tf.random.stateless_normal((2, 1, 2, 4 * 33), (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(edges)
        layers = [Layer(logits, boxes, each, boxes) for each in tf.unstack(edges)]
        loss = compute_d_fine_losses(layers, objects, SCALE)["distillation_loss"]
    gradient = tape.gradient(loss, edges).numpy()
    assert float(loss) > 0
    assert np.abs(gradient[0]).max() > 0
    assert np.abs(gradient[1]).max() == 0
    same = compute_d_fine_losses([layers[1], layers[1]], objects, SCALE)["distillation_loss"]
    assert float(same) == pytest.approx(0, abs=1e-5)


def test_loss_falls(fit_steps):
    """Twenty steps on four pictures bring the loss down by a sixth and more."""
    losses = fit_steps(build(), steps=20, rate=5e-3)
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.83 * losses[0]


def test_decodes_into_the_canvas(detector, drawn):
    """Boxes and scores of each query."""
    boxes, scores = detector.decode(drawn[0])
    assert (boxes.shape, scores.shape) == ((4, 45, 4), (4, 45, 4))
    assert float(tf.reduce_min(boxes)) >= 0
    assert float(tf.reduce_max(boxes)) <= 1


def test_keras_preset_gives_all_but_the_classes(tmp_path):
    """A preset of another size and other classes, saved by KerasHub: every array of an equal shape is in."""
    from keras_hub.models import DFineBackbone, HGNetV2Backbone

    stages = [[8, 8, 16, 1, 2, 3], [16, 8, 16, 1, 2, 3], [16, 8, 32, 1, 2, 5], [32, 8, 32, 1, 2, 5]]
    body = HGNetV2Backbone(
        depths=[1, 1, 1, 1], embedding_size=8, hidden_sizes=[16, 16, 32, 32], stem_channels=[3, 8, 8],
        hidden_act="relu", use_learnable_affine_block=True, stackwise_stage_filters=stages,
        apply_downsample=[False, True, True, True], use_lightweight_conv_block=[False, False, True, True],
        image_shape=(None, None, 3), out_features=["stage3", "stage4"],
    )  # fmt: skip
    keras.utils.set_random_seed(9)
    saved = DFineBackbone(
        backbone=body, decoder_in_channels=[16, 16], encoder_hidden_dim=16, num_labels=80, num_denoising=10,
        learn_initial_query=False, num_queries=20, anchor_image_size=(64, 64), feat_strides=[16, 32],
        num_feature_levels=2, hidden_dim=16, encoder_in_channels=[32, 32], encode_proj_layers=[1],
        num_attention_heads=2, encoder_ffn_dim=16, num_encoder_layers=1, hidden_expansion=0.5,
        depth_multiplier=0.34, eval_idx=-1, num_decoder_layers=1, decoder_attention_heads=2,
        decoder_ffn_dim=16, decoder_n_points=[2, 2], lqe_hidden_dim=8, num_lqe_layers=2,
        image_shape=(64, 64, 3), out_features=["stage3", "stage4"],
    )  # fmt: skip
    saved.save_to_preset(str(tmp_path))
    settings = {"backbone": None, "levels": None, "pyramid_width": None, "head_depth": None}
    detector = build(weights=str(tmp_path), **settings)
    network = next(layer for layer in detector.model.layers if isinstance(layer, DFineBackbone))
    other = 0
    for mine, theirs in zip(network.weights, saved.weights, strict=True):
        other += mine.shape != theirs.shape
        assert mine.shape != theirs.shape or np.array_equal(mine, theirs)
    assert 0 < other < 10
    assert [len(stage) for stage in detector.backbone_stages] == [1] * 5
    assert detector.decode(np.zeros((1, 96, 96, 3), np.float32))[1].shape == (1, 20, 4)
    with pytest.raises(SettingsError, match=r"model\.pyramid_width is 32, but the preset"):
        build(weights=str(tmp_path), **{**settings, "pyramid_width": 32})


def test_earlier_run_continues(tmp_path, drawn):
    """The same settings and the run's folder give the run's answers."""
    earlier = build(seed=9)
    earlier.model.save_weights(tmp_path / RUN_WEIGHTS)
    same = build(weights=str(tmp_path))
    np.testing.assert_allclose(same.decode(drawn[0])[0], earlier.decode(drawn[0])[0], atol=1e-5)


def test_refuses_what_it_cannot_follow():
    """Anchors, a width that heads of attention don't divide, more boxes than queries."""
    with pytest.raises(SettingsError, match=r"model\.anchors: d_fine has no anchors"):
        build(anchors=AnchorSettings(sizes=[1.0]))
    with pytest.raises(SettingsError, match=r"model\.pyramid_width is 20"):
        build(pyramid_width=20)
    with pytest.raises(SettingsError, match=r"a picture has 50 boxes, .* 96 finds at most 45"):
        build(max_boxes=50)


def test_classes_begin_unlikely(detector, drawn):
    """Before training no query is sure of anything, so that background doesn't drown the rest."""
    assert 0.001 < np.median(detector.decode(drawn[0])[1]) < 0.05


def test_refuses_half_precision():
    """TensorFlow has no range of float16; the message names the other one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(SettingsError, match=r"fit\.precision: .* take mixed_bfloat16"):
            build()
    finally:
        keras.config.set_dtype_policy(before)
