"""COCO's figures are pycocotools' to the last digits that matter."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evaluation.coco import compute_coco
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth

BOX = [10, 10, 110, 110]


def replace_none(figures):
    """Write figures as pycocotools does, -1 for none."""
    return [-1.0 if figure is None else figure for figure in astuple(figures)]


def drop_flags(truths):
    """Turn difficult and ignored boxes, which COCO doesn't know, into plain ones."""
    return [
        make_truth(t.image, (t.width_px, t.height_px), t.boxes_xyxy_px, t.class_ids, crowd=t.crowd)
        for t in truths
    ]


@settings(deadline=None)
@given(data=st.data())
def test_figures_are_those_of_pycocotools(images, ask_pycocotools, data):
    """All twelve agree on drawn boxes, crowds and equal scores included."""
    truths, results = data.draw(images)
    truths = drop_flags(truths)
    sample = gather_sample(truths, results)
    figures, _ = compute_coco(sample)
    assert replace_none(figures) == pytest.approx(
        ask_pycocotools(truths, results, sample.class_ids), abs=1e-6
    )


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_figures_of_a_class_are_those_of_that_class_alone(plain_images, ask_pycocotools, data):
    """Each class has what pycocotools computes when asked for that class only."""
    truths, results = data.draw(plain_images)
    _, each = compute_coco(gather_sample(truths, results))
    for class_id, figures in each.items():
        alone = ask_pycocotools(
            [keep_class(truth, class_id) for truth in truths],
            [keep_class(result, class_id) for result in results],
            [class_id],
        )
        assert replace_none(figures) == pytest.approx(alone, abs=1e-6)


def keep_class(image, class_id):
    """Keep the boxes of one class."""
    own = image.class_ids == class_id
    size = (image.width_px, image.height_px)
    if hasattr(image, "scores"):
        return make_result(
            image.image, size, image.boxes_xyxy_px[own], image.scores[own], image.class_ids[own]
        )
    return make_truth(image.image, size, image.boxes_xyxy_px[own], image.class_ids[own])


@pytest.mark.parametrize("flag", ["difficult", "ignore", "crowd"])
def test_an_uncounted_box_is_neither_missed_nor_wrong(flag):
    """With a flagged object beside a plain one, finding it or not gives the same perfect figure."""
    other = [120, 120, 190, 190]
    truth = make_truth("a", (200, 200), [BOX, other], [1, 1], **{flag: [False, True]})
    for boxes in ([BOX], [other, BOX]):
        result = make_result("a", (200, 200), boxes, np.linspace(0.9, 0.8, len(boxes)), [1] * len(boxes))
        assert compute_coco(gather_sample([truth], [result]))[0].ap == pytest.approx(1)


def test_nothing_found_and_nothing_there():
    """Objects without detections give 0, detections without objects None."""
    truth, empty = make_truth("a", (200, 200), [BOX], [1]), make_result("a", (200, 200), [], [], [])
    assert compute_coco(gather_sample([truth], [empty]))[0].ap == 0
    bare, found = make_truth("a", (200, 200), [], []), make_result("a", (200, 200), [BOX], [0.9], [1])
    assert compute_coco(gather_sample([bare], [found]))[0].ap is None


def test_half_of_two_objects_by_hand():
    """One of two objects found exactly: recalls up to .5 have precision 1, 51 of 101; AR is .5."""
    truth = make_truth("a", (200, 200), [BOX, [120, 120, 190, 190]], [1, 1])
    figures, _ = compute_coco(gather_sample([truth], [make_result("a", (200, 200), [BOX], [0.9], [1])]))
    assert (figures.ap, figures.ar_1, figures.ar_100) == pytest.approx((51 / 101, 0.5, 0.5))
    assert (figures.ap_small, figures.ap_medium, figures.ap_large) == (None, 0.0, pytest.approx(1.0))
