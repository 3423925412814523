"""What is left of a box that is cut."""

import numpy as np
import pytest

from detector.training.input.sample import Placement, clip_boxes


@pytest.mark.parametrize(("cut", "is_kept"), [(-69, True), (-70, True), (-71, False), (-100, False)])
def test_a_box_needs_three_tenths_of_its_area(cut, is_kept):
    """Of 100 x 50 pixels that begin left of the region, 31, 30, 29 or no columns are inside."""
    boxes = np.array([[cut, 10, cut + 100, 60]], np.float32)
    clipped, kept = clip_boxes(boxes, (0, 0, 200, 200))
    assert kept.tolist() == [is_kept]
    assert clipped.tolist() == [[0, 10, cut + 100, 60]]


def test_boxes_move_by_scale_and_shift():
    """Worked by hand, mirrored along y."""
    boxes = np.array([[10, 20, 30, 50]], np.float32)
    assert Placement((2, -1), (5, 100)).move_boxes(boxes).tolist() == [[25, 50, 65, 80]]
