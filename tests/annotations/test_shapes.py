"""Drawn shapes: where their boxes are, and that they follow from the generator alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.shapes import SHAPE_NAMES, draw_picture, seed_generator
from detector.boxes import compute_iou


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(48, 300), st.integers(48, 300))
def test_box_is_tight_around_the_painted_pixels(seed, height, width):
    """On a plain background, the pixels that one shape changed reach to each edge of its box."""
    generator = np.random.default_rng(seed)
    pixels, boxes, _ = draw_picture(
        generator, height_px=height, width_px=width, max_shapes=1, backgrounds=["plain"]
    )
    background = pixels[0, 0].astype(int)
    difference = np.abs(pixels.astype(int) - background).max(axis=-1)
    rows, columns = np.nonzero(difference > difference.max() * 0.5)
    painted = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    assert boxes[0] * [height, width, height, width] == pytest.approx(painted, abs=1.01)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_picture_has_the_documented_shapes_and_types(seed):
    """Pixels, boxes and classes have the shapes, types and ranges that the docstring promises."""
    pixels, boxes, class_ids = draw_picture(np.random.default_rng(seed), height_px=90, width_px=120)
    assert (pixels.shape, pixels.dtype, boxes.dtype, class_ids.dtype) == (
        (90, 120, 3),
        np.uint8,
        np.float32,
        np.int32,
    )
    assert 1 <= len(boxes) == len(class_ids) <= 6
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert set(class_ids) <= set(range(1, len(SHAPE_NAMES) + 1))


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_shapes_overlap_in_moderation(seed):
    """No two boxes of a picture have an IoU above .1."""
    _, boxes, _ = draw_picture(np.random.default_rng(seed), height_px=100, width_px=160)
    iou = compute_iou(boxes, boxes) - np.eye(len(boxes))
    assert iou.max() <= 0.11


def test_same_seed_draws_the_same_picture():
    """Two generators of one purpose and seed give the same pixels."""
    first, second = (draw_picture(seed_generator("demo", 3), height_px=60, width_px=80)[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_purposes_share_no_picture():
    """The demo's pictures are none of the training's, with the same seed."""
    demo, training = (
        draw_picture(seed_generator(purpose, 3), height_px=60, width_px=80)[0]
        for purpose in ("demo", "training")
    )
    assert not np.array_equal(demo, training)


def test_every_class_is_drawn():
    """All four shapes come up."""
    generator = seed_generator("validation", 0)
    drawn = [draw_picture(generator, height_px=60, width_px=60)[2] for _ in range(20)]
    assert set(np.concatenate(drawn)) == {1, 2, 3, 4}
