"""Which boxes of an object an epoch learns from, and where they are on the canvas."""

from pathlib import Path

import numpy as np
import pytest

from detector.annotations.dataset import Box
from detector.training.input.examples import Example
from detector.training.input.objects import gather_objects
from detector.training.train_settings import DataSettings

BOXES = (
    Box("cat", (20, 20, 60, 60)),
    Box("cat", (24, 20, 64, 60)),
    Box("dog", (100, 50, 180, 90), difficult=True),
)


def gather(**options):
    """Gather three boxes of two objects in a picture of 200 x 100, on a canvas of 100."""
    example = Example("a.jpg", Path("a.jpg"), 200, 100, BOXES, "0" * 64)
    return gather_objects(example, {"cat": 1, "dog": 2}, DataSettings(root=Path(), **options), 100)


def test_one_box_of_each_object_by_chance():
    """The cat's either box, in pixels of the canvas: halved, 25 lower."""
    objects = gather()
    drawn = [objects.draw(np.random.default_rng(seed), is_one_each=True, jitter=0) for seed in range(20)]
    assert {tuple(boxes[0].tolist()) for boxes, _ in drawn} == {(10, 35, 30, 55), (12, 35, 32, 55)}
    assert all(boxes[1].tolist() == [50, 50, 90, 70] for boxes, _ in drawn)
    assert all(class_ids.tolist() == [1, 2] for _, class_ids in drawn)
    assert objects.count(is_one_each=True) == 2


def test_or_all_of_them():
    """By setting."""
    boxes, class_ids = gather().draw(np.random.default_rng(0), is_one_each=False, jitter=0)
    assert boxes.shape == (3, 4)
    assert class_ids.tolist() == [1, 1, 2]
    assert gather().count(is_one_each=False) == 3


def test_jitter_is_in_the_boxes_own_sides():
    """A deviation of 5 % of a side of 40 canvas pixels is 2; the picture's edge is not crossed."""
    objects = gather(cluster_iou=0.99)
    moved = np.array(
        [objects.draw(np.random.default_rng(s), is_one_each=True, jitter=0.05)[0][2] for s in range(500)]
    )
    assert moved.std(axis=0) == pytest.approx([2, 1, 2, 1], rel=0.15)
    assert moved.mean(axis=0) == pytest.approx([50, 50, 90, 70], abs=0.3)


def test_validation_sees_the_mean_box():
    """As evaluation does."""
    boxes, class_ids = gather().merge()
    assert boxes.tolist() == [[11, 35, 31, 55], [50, 50, 90, 70]]
    assert class_ids.tolist() == [1, 2]


def test_difficult_objects_are_left_out_by_setting():
    """The dog is one."""
    assert gather(use_difficult=False).merge()[1].tolist() == [1]
    assert gather(use_difficult=False, boxes_per_object="all").count(is_one_each=False) == 2


def test_a_picture_without_boxes():
    """Background has no rows."""
    example = Example("a.jpg", Path("a.jpg"), 200, 100, (), "0" * 64)
    objects = gather_objects(example, {}, DataSettings(root=Path()), 100)
    for boxes, class_ids in (
        objects.merge(),
        objects.draw(np.random.default_rng(0), is_one_each=True, jitter=0.1),
    ):
        assert (boxes.shape, class_ids.shape) == ((0, 4), (0,))
