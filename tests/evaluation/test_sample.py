"""Ground truth and results are checked, paired by name, and put in one order."""

import numpy as np
import pytest

from detector.errors import EvaluationError
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample, rank_in_image
from detector.evaluation.truth import make_truth

SIZE = (100, 80)
BOX = [0, 0, 10, 10]


def test_detections_stand_best_first_and_ties_by_image():
    """Equal scores keep the order of images, then the order given."""
    truths = [make_truth(name, SIZE, [], []) for name in "ab"]
    results = [
        make_result("b", SIZE, [BOX] * 2, [0.5, 0.9], [7, 3]),
        make_result("a", SIZE, [BOX] * 2, [0.5, 0.5], [3, 7]),
    ]
    sample = gather_sample(truths, results)
    assert sample.class_ids.tolist() == [3, 7]
    assert sample.results.image_rows.tolist() == [1, 0, 0, 1]
    assert sample.class_ids[sample.results.class_rows].tolist() == [3, 3, 7, 7]


def test_ranks_count_within_an_image_and_a_class():
    """The second detection of a class in an image has rank 1, whatever stands between."""
    result = make_result("a", SIZE, [BOX] * 4, [0.9, 0.8, 0.7, 0.6], [1, 2, 1, 1])
    sample = gather_sample([make_truth("a", SIZE, [], [])], [result])
    assert rank_in_image(sample.results, 2).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([], "1 images have no result"),
        ([("a", SIZE), ("x", SIZE)], "1 images have a result but no ground truth; the first is x"),
        ([("a", SIZE), ("a", SIZE)], "once"),
        ([("a", (80, 100))], "100 x 80 pixels in the ground truth and 80 x 100"),
    ],
)
def test_what_does_not_fit_is_refused(results, words):
    """A missing, a surplus, a doubled and a turned image are each named."""
    found = [make_result(name, size, [], [], []) for name, size in results]
    with pytest.raises(EvaluationError, match=words):
        gather_sample([make_truth("a", SIZE, [], [])], found)


@pytest.mark.parametrize(
    ("boxes", "class_ids", "words"),
    [
        ([[10, 0, 0, 10]], [1], "swapped"),
        ([BOX, [0, 0, float("nan"), 1]], [1, 1], "box 1"),
        ([BOX], [1, 2], "length"),
        ([[1, 2, 3]], [1], "shape"),
    ],
)
def test_boxes_that_are_none_are_refused(boxes, class_ids, words):
    """Swapped corners, no numbers, unequal lengths and a wrong shape name the image."""
    with pytest.raises(EvaluationError, match=f"of a: .*{words}"):
        make_truth("a", SIZE, boxes, class_ids)


def test_a_score_that_is_no_number_is_refused():
    """NaN has no place in an order."""
    with pytest.raises(EvaluationError, match="1 scores"):
        make_result("a", SIZE, [BOX], [float("nan")], [1])


def test_no_image_is_an_empty_sample():
    """Nothing at all is gathered without an error."""
    sample = gather_sample([], [])
    assert len(sample.results.scores) == len(sample.truth.image_rows) == len(sample.class_ids) == 0
    assert sample.truth.boxes_xyxy_px.shape == (0, 4)
    assert np.array(sample.sizes_wh).shape == (0, 2)
