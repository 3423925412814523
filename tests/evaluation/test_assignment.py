"""COCO's rule, case by case."""

import pytest

from detector.evaluation.assignment import match_within_classes
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth

SIZE = (200, 200)
BOX = [0, 0, 100, 100]
NEAR = [0, 0, 100, 80]  # IoU .8 with BOX


def assign(objects, boxes, iou_threshold=0.5, **flags):
    """Assign detections of falling score to objects of one image and one class."""
    truth = make_truth("a", SIZE, objects, [1] * len(objects), **flags)
    scores = [1 - n / 10 for n in range(len(boxes))]
    sample = gather_sample([truth], [make_result("a", SIZE, boxes, scores, [1] * len(boxes))])
    return match_within_classes(sample.truth, sample.results, (iou_threshold,))[0]


def test_an_object_that_counts_goes_first():
    """The detection fits the ignored box exactly, and is given the other."""
    assigned = assign([BOX, NEAR], [BOX], ignore=[True, False])
    assert (assigned.truth_rows.tolist(), assigned.right.tolist()) == ([1], [True])


def test_of_two_equal_objects_the_later_is_given():
    """As in pycocotools."""
    assert assign([BOX, BOX], [BOX]).truth_rows.tolist() == [1]


@pytest.mark.parametrize(("flag", "wrong"), [("crowd", [False] * 3), ("ignore", [False, True, True])])
def test_a_crowd_is_never_used_up(flag, wrong):
    """Three detections of a crowd count neither way; an ignored box takes one of them."""
    assigned = assign([BOX], [BOX] * 3, **{flag: [True]})
    assert (assigned.right.any(), assigned.wrong.tolist()) == (False, wrong)


@pytest.mark.parametrize(("iou_threshold", "found"), [(0.8, True), (0.8001, False)])
def test_a_threshold_is_inclusive(iou_threshold, found):
    """IoU of exactly .8 reaches .8 and no more."""
    assert assign([BOX], [NEAR], iou_threshold).right.tolist() == [found]


def test_a_perfect_box_reaches_one():
    """A threshold of 1 can be met."""
    assert assign([BOX], [BOX], 1.0).right.tolist() == [True]
