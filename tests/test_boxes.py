"""Box arithmetic: hand-worked cases and what must hold for any box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.boxes import (
    compute_iou,
    compute_letterbox,
    convert_canvas_to_source,
    convert_xywh_to_yxyx,
    convert_xyxy_to_yxyx,
    normalise_yxyx_px,
)

sides = st.integers(1, 5000)
boxes = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=1, max_size=5).map(
    lambda rows: np.sort(np.array(rows, np.float32).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
)


@given(source=st.tuples(sides, sides), canvas=st.tuples(sides, sides), boxes_yxyx_norm=boxes)
def test_a_letterbox_goes_there_and_back(source, canvas, boxes_yxyx_norm):
    """Boxes put onto the canvas by its definition come back to where they were."""
    letterbox = compute_letterbox(source, canvas)
    content, offset = np.array(letterbox.content_hw * 2), np.array([letterbox.top, letterbox.left] * 2)
    on_canvas = ((boxes_yxyx_norm * content + offset) / np.array(canvas * 2)).astype(np.float32)
    back = convert_canvas_to_source(on_canvas, letterbox)
    assert np.abs(back - boxes_yxyx_norm).max() * min(letterbox.content_hw) < 0.01  # of a canvas pixel


@given(source=st.tuples(sides, sides), canvas=st.tuples(sides, sides))
def test_a_letterbox_fits_and_touches(source, canvas):
    """The content lies inside the canvas, fills one of its sides, and keeps the aspect to a pixel."""
    letterbox = compute_letterbox(source, canvas)
    height, width = letterbox.content_hw
    assert 0 < height <= canvas[0]
    assert 0 < width <= canvas[1]
    assert height == canvas[0] or width == canvas[1]
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    assert abs(height - source[0] * scale) <= 1
    assert abs(width - source[1] * scale) <= 1


def test_iou_by_hand():
    """Disjoint 0, itself 1, a quarter overlap 1/7, without area 0."""
    first = np.array([[0, 0, 2, 2]], np.float32)
    others = np.array([[3, 3, 4, 4], [0, 0, 2, 2], [1, 1, 3, 3], [1, 1, 1, 1]], np.float32)
    assert compute_iou(first, others)[0].tolist() == pytest.approx([0, 1, 1 / 7, 0])


@given(first=boxes, second=boxes)
def test_iou_is_symmetric_and_bounded(first, second):
    """IoU of (a, b) is that of (b, a), between 0 and 1."""
    iou = compute_iou(first, second)
    assert np.allclose(iou, compute_iou(second, first).T)
    assert ((iou >= 0) & (iou <= 1 + 1e-6)).all()


def test_formats_by_hand():
    """One box in three formats and two units."""
    yxyx_px = np.array([[10, 20, 50, 100]], np.float32)
    assert convert_xyxy_to_yxyx(np.array([[20, 10, 100, 50]], np.float32)).tolist() == yxyx_px.tolist()
    assert convert_xywh_to_yxyx(np.array([[20, 10, 80, 40]], np.float32)).tolist() == yxyx_px.tolist()
    assert normalise_yxyx_px(yxyx_px, (100, 200)).tolist() == [pytest.approx([0.1, 0.1, 0.5, 0.5])]
