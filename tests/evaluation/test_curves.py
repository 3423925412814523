"""Curves and thresholds: by hand, and against trying every score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evaluation.curves import choose_thresholds, compute_curve
from detector.evaluation.matches import match_classes
from detector.evaluation.matching import match_images
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth

SIZE = (200, 200)
BOX, ELSEWHERE = [0, 0, 50, 50], [100, 100, 150, 150]


def match_one_class(*images):
    """Match images of one object each, with detections as (score, whether right); one class."""
    truths = [make_truth(str(n), SIZE, [BOX], [1]) for n in range(len(images))]
    results = [
        make_result(
            str(n),
            SIZE,
            [BOX if right else ELSEWHERE for _, right in found],
            [s for s, _ in found],
            [1] * len(found),
        )
        for n, found in enumerate(images)
    ]
    (matches,) = match_classes(gather_sample(truths, results), (0.5,))
    return matches


def test_a_curve_by_hand():
    """Right, wrong, right: two points, precision 1 and 2/3, recall 1/3 and 2/3."""
    curve = compute_curve(match_one_class([(0.9, True)], [(0.8, False), (0.7, True)], []))
    assert curve.scores.tolist() == [0.9, 0.7]
    assert curve.precision.tolist() == pytest.approx([1, 2 / 3])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 2 / 3])


def test_equal_scores_are_one_point():
    """A right and a wrong detection of one score can't be told apart by a threshold."""
    curve = compute_curve(match_one_class([(0.8, True)], [(0.8, False)]))
    assert (curve.scores.tolist(), curve.precision.tolist()) == ([0.8], [0.5])


def test_a_long_curve_is_thinned_with_its_ends_kept():
    """Of 50 points the first, the last and three between."""
    matches = match_one_class(*[[(1 - n / 100, True)] for n in range(50)])
    curve = compute_curve(matches, most_points=5)
    assert len(curve.scores) == 5
    assert (curve.scores[0], curve.recall[-1]) == (1, 1)


def test_a_threshold_by_hand():
    """F1 is best between the two right ones and the two wrong ones."""
    matches = match_one_class([(0.9, True), (0.3, False)], [(0.6, True), (0.2, False)])
    best = choose_thresholds([matches], random=np.random.default_rng(0))[1]
    assert (best.threshold, best.f1, best.precision, best.recall) == (0.6, 1, 1, 1)
    assert (best.low, best.high) == (0.6, 0.9)  # where the second image wasn't drawn
    assert (best.images, best.objects) == (2, 2)


def test_a_class_that_was_never_found_has_no_threshold():
    """Nor one without objects."""
    matches = match_one_class([(0.9, False)])
    assert choose_thresholds([matches], random=np.random.default_rng(0)) == {}
    assert len(compute_curve(matches).scores) == 0
    assert choose_thresholds([], random=np.random.default_rng(0)) == {}


@settings(deadline=None)
@given(data=st.data())
def test_no_score_is_better(images, data):
    """At the chosen threshold F1 is what counting gives, and at no other score is it higher."""
    sample = gather_sample(*data.draw(images))
    chosen = choose_thresholds(match_classes(sample, (0.5,)), random=np.random.default_rng(0), resamples=9)
    for class_id, best in chosen.items():
        tried = {float(score): count_f1(sample, class_id, score) for score in sample.results.scores}
        assert best.f1 == pytest.approx(tried[best.threshold])
        assert best.f1 == pytest.approx(max(tried.values()))


def count_f1(sample, class_id, score):
    """Count one class's F1 at one score threshold."""
    counts = match_images(sample, score_thresholds=score).list_classes()
    return next(row.f1 or 0 for row in counts if row.class_id == class_id)


def test_the_interval_narrows_with_more_images():
    """F1 of 400 images is better known than that of 25 like them."""
    random = np.random.default_rng(3)
    images = [[(random.random(), random.random() < 0.7)] for _ in range(400)]
    widths = []
    for count in (25, 400):
        matches = match_one_class(*images[:count])
        best = choose_thresholds([matches], random=np.random.default_rng(0))[1]
        assert best.f1_low <= best.f1 <= best.f1_high
        widths.append(best.f1_high - best.f1_low)
    assert widths[1] < widths[0] / 2
