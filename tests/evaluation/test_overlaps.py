"""Pairs of detections and objects: all that overlap enough, and no other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.boxes import compute_iou
from detector.evaluation import overlaps as module
from detector.evaluation.overlaps import find_overlaps
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth


@settings(deadline=None)
@given(data=st.data(), chunk=st.integers(1, 7), across_classes=st.booleans())
def test_pairs_are_those_of_the_whole_matrix(plain_images, data, chunk, across_classes):
    """Searched in chunks of any size, the pairs are those of all against all."""
    sample = gather_sample(*data.draw(plain_images))
    truth, results = sample.truth, sample.results
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS_AT_ONCE", chunk)
        found = find_overlaps(truth, results, 0.3, across_classes=across_classes)
    iou = compute_iou(results.boxes_xyxy_px, truth.boxes_xyxy_px)
    wanted = (iou >= 0.3 - 1e-6) & (results.image_rows[:, None] == truth.image_rows)
    if not across_classes:
        wanted &= results.class_rows[:, None] == truth.class_rows
    assert list(zip(found.result_rows, found.truth_rows, strict=True)) == list(
        zip(*np.nonzero(wanted), strict=True)
    )
    assert found.iou == pytest.approx(iou[wanted], abs=1e-6)


def test_a_crowd_is_measured_by_the_detection():
    """A small box inside a crowd has IoA 1 and a small IoU; outside a crowd it isn't a pair."""
    result = make_result("a", (100, 100), [[0, 0, 10, 10]], [0.9], [1])
    for crowd in (True, False):
        truth = make_truth("a", (100, 100), [[0, 0, 100, 100]], [1], crowd=[crowd])
        sample = gather_sample([truth], [result])
        found = find_overlaps(sample.truth, sample.results, 0.5)
        assert (found.iou.tolist(), found.ioa.tolist()) == (([0.01], [1.0]) if crowd else ([], []))


def test_a_threshold_is_reached_exactly():
    """IoU 3 of 5 reaches .6."""
    truth = make_truth("a", (9, 9), [[0, 0, 5, 1]], [1])
    sample = gather_sample([truth], [make_result("a", (9, 9), [[0, 0, 3, 1]], [0.9], [1])])
    assert len(find_overlaps(sample.truth, sample.results, 0.6).iou) == 1
