"""The whole report from one call, and its JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from detector.evaluation.assessment import assess_detections
from detector.evaluation.comparison import compare_detectors
from detector.evaluation.results import make_result
from detector.evaluation.truth import make_truth

SIZE = (200, 200)
A, B = [0, 0, 60, 60], [100, 100, 160, 160]
TRUTHS = [
    make_truth("a", SIZE, [A, B], [1, 2], difficult=[False, True]),
    make_truth("b", SIZE, [A], [1]),
]
RESULTS = [
    make_result("a", SIZE, [A, B], [0.9, 0.8], [1, 2]),
    make_result("b", SIZE, [B], [0.3], [3]),
]


def assess(**options):
    """Evaluate the two images with a few resamples."""
    return assess_detections(
        TRUTHS, RESULTS, labels={1: "cat"}, random=np.random.default_rng(0), resamples=20, **options
    )


def test_a_report_holds_every_metric():
    """One of two cats found; the difficult box isn't an object; class 3 was never there."""
    report = assess()
    assert (report.image_count, report.object_count, report.uncounted_object_count) == (2, 2, 1)
    assert [row.label for row in report.classes] == ["cat", "class_2", "class_3"]
    assert report.coco.ap50 == pytest.approx(51 / 101)
    assert (report.voc.ap, report.open_images_ap) == (0.5, 0.5)
    assert [row.coco.ap for row in report.classes] == [pytest.approx(51 / 101), None, None]
    assert report.score_thresholds == {1: 0.9, 2: 0.5, 3: 0.5}
    assert [image.image for image in report.images] == ["b", "a"]


def test_given_thresholds_are_taken():
    """At .2 for all, the invented detection is a mistake; at .5 it isn't."""
    assert assess(score_thresholds=0.2).images[0].wrong == 1
    assert assess(score_thresholds={3: 0.5}).images[0].wrong == 0


def test_classes_above_classes_are_for_open_images_alone():
    """With 4 above 1, class 4 is an object too, and missed, since the results don't name it."""
    report = assess(parents={1: [4]})
    assert report.open_images_ap == pytest.approx(0.25)
    assert report.voc.ap == 0.5


def test_json_is_strict_and_whole():
    """Numbers, lists and nulls only; a comparison is added afterwards."""
    compared = compare_detectors(TRUTHS, RESULTS, RESULTS, random=np.random.default_rng(0), resamples=20)
    read = json.loads(replace(assess(), comparison=compared).to_json(), parse_constant=pytest.fail)
    assert read["comparison"]["difference"] == 0
    assert read["confusion"]["counts"][0] == [1, 0, 0, 1]
    assert read["classes"][0]["curve"]["scores"] == [0.9]
    assert read["classes"][1]["threshold"] is None


def test_no_image_at_all():
    """Nothing to evaluate gives a report of nothing, not an error."""
    report = assess_detections([], [], labels={}, random=np.random.default_rng(0))
    assert (report.image_count, report.classes, report.coco.ap) == (0, (), None)
