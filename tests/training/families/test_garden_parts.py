"""What the garden's families are made of: anchors from data, padding, pairs of box and class."""

import numpy as np
import pytest
import tensorflow as tf

from detector.training.families.garden import (
    fit_rows,
    keep_best_pairs,
    normalise_pixels,
    pad_truth,
    spread_scores,
)
from detector.training.families.garden_anchors import choose_anchors
from detector.training.families.garden_yolo_anchors import choose_yolo_anchors
from detector.training.train_settings import AnchorSettings


def choose(settings, boxes, **changes):
    """Choose anchors of levels 3 and 4 of a canvas of 64 pixels."""
    options = {"levels": (3, 4), "canvas_px": 64, "octaves": 1, "default_size": 4.0, **changes}
    return choose_anchors(settings, np.asarray(boxes, np.float32).reshape(-1, 2), **options)


def test_pixels_are_those_of_imagenet_checkpoints():
    """The mean colour becomes 0, one deviation more becomes 1."""
    pixels = np.array([[[[0.485, 0.456, 0.406], [0.714, 0.68, 0.631]]]], np.float32) * 255
    np.testing.assert_allclose(normalise_pixels(pixels), [[[[0, 0, 0], [1, 1, 1]]]], atol=1e-5)


def test_truth_is_padded_behind_the_objects():
    """Objects keep their order and come first; the rest is -1."""
    boxes = tf.constant([[[0.0] * 4, [0.0, 0.25, 0.5, 0.75], [0.0] * 4, [0.5, 0.5, 1.0, 1.0]]])
    found, classes = pad_truth(boxes, tf.constant([[0, 2, 0, 1]]), 100)
    assert classes.numpy().tolist() == [[2, 1, -1, -1]]
    assert found.numpy().tolist() == [[[0, 25, 50, 75], [50, 50, 100, 100], [-1] * 4, [-1] * 4]]


@pytest.mark.parametrize(("count", "expected"), [(1, [[1]]), (2, [[1, 2]]), (4, [[1, 2, 9, 9]])])
def test_rows_are_cut_or_padded(count, expected):
    """Two rows become one, two or four."""
    assert fit_rows(tf.constant([[1, 2]]), count, 9).numpy().tolist() == expected


def test_scores_go_to_their_classes():
    """A row's score stands in the column of its class."""
    found = spread_scores(tf.constant([[0.5, 0.25]]), tf.constant([[2, 1]]), 3)
    assert found.numpy().tolist() == [[[0, 0.5, 0], [0.25, 0, 0]]]


def test_best_pairs_are_kept_and_boxes_without_area_score_nothing():
    """Of two boxes with two classes, the two best pairs; the best score of all belongs to no box."""
    boxes = [[[[0, 0, 10, 10], [0, 0, 20, 20]], [[5, 5, 5, 5], [0, 0, 40, 40]]]]
    scores = [[[0.3, 0.6], [0.9, 0.5]]]
    rows, columns = keep_best_pairs(
        tf.constant(boxes, tf.float32), tf.constant(scores), canvas_px=40, pairs=2
    )
    assert rows.numpy().tolist() == [[[0, 0, 0.5, 0.5], [0, 0, 1, 1]]]
    np.testing.assert_allclose(columns, [[[0, 0.6], [0, 0.5]]])


def test_anchors_follow_the_boxes():
    """Boxes of 16 by 32 pixels get anchors of their ratio, and at one level of their size."""
    anchors = choose(AnchorSettings(), [[0.25, 0.5]] * 5)
    assert anchors.aspect_ratios == (2.0, 2.0, 2.0)
    sides = np.array(anchors.sizes) * [[8], [16]]
    assert np.abs(sides - np.sqrt(16 * 32)).min() < 1e-3


def test_settings_of_anchors_win_and_are_height_by_width():
    """Any sizes and ratios can be had: 8 pixels of ratio 4 are 4 wide and 16 high, centred in the cell."""
    anchors = choose(AnchorSettings(sizes=[1.0, 3.0], aspect_ratios=[4.0]), [[0.25, 0.5]])
    assert anchors.per_cell == 2
    placed = anchors.list_boxes()
    assert {level: tuple(boxes.shape) for level, boxes in placed.items()} == {"3": (8, 8, 8), "4": (4, 4, 8)}
    np.testing.assert_allclose(placed["3"][0, 0], [-4, 2, 12, 6, -20, -2, 28, 10], atol=1e-4)


def test_without_boxes_the_garden_s_anchors():
    """Nothing to learn from: the size and the ratios that it ships with, in three steps of an octave."""
    anchors = choose(AnchorSettings(), [], octaves=3)
    assert anchors.sizes == pytest.approx((4, 4 * 2 ** (1 / 3), 4 * 2 ** (2 / 3)))
    assert anchors.aspect_ratios == (0.5, 1, 2)


def test_few_boxes_take_the_usual_anchors_of_yolo():
    """Two boxes can't make nine anchors: COCO's are scaled to the canvas."""
    found = choose_yolo_anchors(np.full((2, 2), 0.5, np.float32), levels=(3, 5), canvas_px=256)
    assert len(found) == 9
    assert found[0] == [6, 8]
