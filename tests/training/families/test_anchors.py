"""Anchors: where they are, sizes from data, codes there and back, and matching that leaves no object out."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector.training.families.anchor_targets import compute_iou, encode_anchors
from detector.training.families.anchors import (
    DEFAULT_RATIOS,
    DEFAULT_SIZES,
    AnchorGrid,
    decode_boxes,
    encode_boxes,
    fit_aspect_ratios,
    fit_sizes,
)
from detector.training.families.candidates import keep_candidates

GRID = AnchorGrid(64, (3, 4), (2.0,), (0.5, 1.0, 2.0))
NO_BOXES = np.zeros((0, 2), np.float32)


def encode(boxes, class_ids, anchors=None):
    """Match one canvas; give class_ids [A] and codes [A, 4]."""
    boxes, class_ids = np.array(boxes, np.float32).reshape(1, -1, 4), np.array([class_ids], np.int32)
    targets = encode_anchors(boxes, class_ids, GRID.list_anchors() if anchors is None else anchors)
    return targets["class_ids"][0].numpy(), targets["codes"][0].numpy()


def test_anchors_are_centred_in_cells_by_area_and_ratio():
    """Every cell has each ratio, around its middle, of (size x stride) squared; coarser levels come last."""
    anchors = GRID.list_anchors()
    assert anchors.shape == ((8 * 8 + 4 * 4) * 3, 4)
    first, last = anchors[:3], anchors[-1]
    np.testing.assert_allclose((first[:, :2] + first[:, 2:]) / 2, 4.0, atol=1e-5)
    sides = first[:, 2:] - first[:, :2]
    np.testing.assert_allclose(sides.prod(axis=1), 16.0**2, rtol=1e-5)
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], [0.5, 1.0, 2.0], rtol=1e-5)
    np.testing.assert_allclose((last[:2] + last[2:]) / 2, 56.0)


def test_level_coarser_than_the_canvas_has_one_cell():
    """A map of a 96 px canvas at stride 128 is one cell, as the network's is."""
    assert AnchorGrid(96, (7,), (1.0,), (1.0,)).list_anchors().tolist() == [[0, 0, 128, 128]]


def test_published_anchors_where_there_are_no_boxes():
    """An empty data set, and boxes without area, say nothing."""
    assert fit_sizes(NO_BOXES, 96, 3) == DEFAULT_SIZES
    assert fit_aspect_ratios(np.zeros((3, 2), np.float32)) == DEFAULT_RATIOS


def test_anchors_from_the_data_fit_it_better():
    """Small flat boxes: the mean IoU of the best anchor, both centred alike, rises well above the published."""
    generator = np.random.default_rng(0)
    widths = np.exp(generator.normal(np.log(0.15), 0.2, 400))
    boxes = np.stack([widths, widths / np.exp(generator.normal(np.log(3), 0.2, 400))], axis=1).astype(
        np.float32
    )
    published = AnchorGrid(256, (3, 4, 5))
    fitted = AnchorGrid(256, (3, 4, 5), fit_sizes(boxes, 256, 3), fit_aspect_ratios(boxes))
    assert _mean_best_iou(fitted, boxes) > _mean_best_iou(published, boxes) + 0.1
    assert len(fitted.sizes) == len(fitted.aspect_ratios) == 3


def _mean_best_iou(grid, boxes_wh_norm):
    anchors = np.unique((grid.list_anchors()[:, 2:] - grid.list_anchors()[:, :2]).round(3), axis=0)
    sides = boxes_wh_norm[:, ::-1] * grid.canvas_px
    pairs = (np.concatenate([-each / 2, each / 2], axis=1).astype(np.float32) for each in (sides, anchors))
    return compute_iou(*map(tf.constant, pairs)).numpy().max(axis=1).mean()


@settings(deadline=None, max_examples=50)
@given(*[st.floats(-50, 100)] * 4, *[st.floats(2, 80)] * 4)
def test_codes_decode_to_their_boxes(y, x, anchor_y, anchor_x, height, width, anchor_height, anchor_width):
    """Decoding undoes encoding for any box against any anchor."""
    box = tf.constant([[y, x, y + height, x + width]], tf.float32)
    anchor = tf.constant(
        [[anchor_y, anchor_x, anchor_y + anchor_height, anchor_x + anchor_width]], tf.float32
    )
    np.testing.assert_allclose(decode_boxes(encode_boxes(box, anchor), anchor), box, atol=2e-3)


def test_code_hand_worked():
    """Half an anchor to the right, twice as high: dx .5, dy 0, log width 0, log height log 2."""
    anchor, box = tf.constant([[0.0, 0.0, 10.0, 10.0]]), tf.constant([[-5.0, 5.0, 15.0, 15.0]])
    np.testing.assert_allclose(encode_boxes(box, anchor)[0], [0.5, 0.0, 0.0, np.log(2)], atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(*[st.floats(2, 55)] * 2, *[st.floats(1, 60)] * 2, st.integers(1, 5))
def test_no_object_goes_without(y, x, height, width, class_id):
    """However small or long, an object in the canvas has an anchor, which decodes to it."""
    box = np.minimum([y, x, y + height, x + width], 64).astype(np.float32)
    assume((box[2:] - box[:2]).min() > 0.5)
    found, codes = encode([box, [0, 0, 0, 0]], [class_id, 0])
    positive = found == class_id
    assert positive.any()
    decoded = decode_boxes(tf.constant(codes[positive]), tf.constant(GRID.list_anchors()[positive]))
    np.testing.assert_allclose(decoded, np.broadcast_to(box, decoded.shape), atol=1e-3)


def test_thresholds_and_the_best_anchor():
    """IoU of 1, .54, .45 and .3: both above .5 answer, .45 is ignored, .3 is background."""
    anchors = np.array([[0, 0, 10, side] for side in (10, 5.4, 4.5, 3)], np.float32)
    found, codes = encode([[0, 0, 10, 10]], [2], anchors)
    assert found.tolist() == [2, 2, -1, 0]
    assert not codes[2:].any()


def test_the_best_anchor_answers_below_the_thresholds():
    """An object that no anchor overlaps by .4 has the best one, and of two objects the better fit has it."""
    anchors = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    assert encode([[0, 0, 3, 3]], [1], anchors)[0].tolist() == [1, 0]
    assert encode([[0, 0, 3, 3], [0, 0, 4, 4]], [1, 2], anchors)[0].tolist() == [2, 0]
    assert encode([[40, 40, 50, 50]], [1], anchors)[0].tolist() == [0, 0]


def test_an_anchor_is_given_up_to_the_object_that_has_no_better():
    """The second anchor overlaps object 1 by .9 and object 2 by .3, but it is the best that object 2 has."""
    anchors = np.array([[0, 0, 10, 10], [0, 0, 10, 9]], np.float32)
    assert encode([[0, 0, 10, 10], [0, 0, 3, 9]], [1, 2], anchors)[0].tolist() == [1, 2]


def test_padding_matches_nothing():
    """Rows of zeros are background, wherever they stand."""
    found, codes = encode([[0, 0, 0, 0], [8, 8, 24, 24], [0, 0, 0, 0]], [0, 3, 0])
    alone, _ = encode([[8, 8, 24, 24]], [3])
    np.testing.assert_array_equal(found, alone)
    assert np.isfinite(codes).all()
    assert not encode([[0, 0, 0, 0]], [0])[0].any()
    tiny = np.array([[0, 0, 1, 1.5]], np.float32)
    assert not any(values.any() for values in encode([[0, 0, 0, 0]], [0], tiny))


def test_candidates_are_the_best_of_any_class():
    """Of three boxes two stay, by their highest score, each with its own box."""
    boxes = tf.constant([[[0.0] * 4, [0.1] * 4, [0.2] * 4]])
    scores = tf.constant([[[0.5, 0.1], [0.2, 0.3], [0.1, 0.9]]])
    kept, kept_scores = keep_candidates(boxes, scores, most=2)
    assert kept[0, :, 0].numpy().tolist() == pytest.approx([0.2, 0.0])
    assert kept_scores[0].numpy().tolist() == [pytest.approx([0.1, 0.9]), pytest.approx([0.5, 0.1])]
    assert keep_candidates(boxes, scores, most=3)[0] is boxes
