"""Right, wrong and missed: by hand, and what has to hold for any images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evaluation.confusion import compute_confusion
from detector.evaluation.matching import ClassCounts, ImageCounts, match_images
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth

SIZE = (200, 200)
A, B, C = [0, 0, 50, 50], [60, 60, 120, 120], [130, 0, 190, 60]
HORSE, RIDER = 4, 9


def match(objects, found, **options):
    """Match one image: objects as (box, class), detections as (box, score, class)."""
    truth = make_truth("a", SIZE, [row[0] for row in objects], [row[1] for row in objects])
    columns = list(zip(*found, strict=True)) or [[], [], []]
    return match_images(gather_sample([truth], [make_result("a", SIZE, *columns)]), **options)


def test_counts_by_hand():
    """One found twice, one missed, one invented, and one below the threshold."""
    matching = match([(A, 1), (B, 1)], [(A, 0.9, 1), (A, 0.8, 1), (C, 0.7, 2), (B, 0.4, 1)])
    assert matching.list_images() == [ImageCounts("a", right=1, wrong=2, missed=1)]
    assert matching.list_classes() == [ClassCounts(1, 1, 1, 1), ClassCounts(2, 0, 1, 0)]


def test_each_class_has_its_threshold():
    """A class with a threshold of its own keeps more; one without any keeps all."""
    found = [(A, 0.4, 1), (B, 0.4, 2), (C, 0.1, 3)]
    matching = match([], found, score_thresholds={1: 0.3, 2: 0.5})
    assert [row.wrong for row in matching.list_classes()] == [1, 0, 1]


def test_a_taken_object_sends_to_the_next():
    """The second detection gets the free neighbour, though it overlaps the taken one more."""
    beside = [10, 0, 60, 50]
    matching = match([(A, 1), (beside, 1)], [(A, 0.9, 1), ([2, 0, 52, 50], 0.8, 1)])
    assert matching.assignment.truth_rows.tolist() == [0, 1]


def test_worst_image_first():
    """Most mistakes first; of equally many, most missed; then by name."""
    truths = [make_truth(name, SIZE, [A], [1]) for name in "abcd"]
    boxes = {"a": [A], "b": [], "c": [], "d": [B, C]}
    results = [make_result(n, SIZE, b, [0.9] * len(b), [1] * len(b)) for n, b in boxes.items()]
    images = match_images(gather_sample(truths, results)).list_images()
    assert [image.image for image in images] == ["d", "b", "c", "a"]


def test_boxes_of_one_image_for_a_picture():
    """Each box comes with its verdict, best score first."""
    boxes = match([(A, HORSE), (B, RIDER)], [(C, 0.6, HORSE), (A, 0.9, HORSE)]).select_image("a")
    assert boxes.class_ids.tolist() == [HORSE, HORSE]
    assert (boxes.right.tolist(), boxes.wrong.tolist()) == ([True, False], [False, True])
    assert boxes.truth_class_ids[boxes.missed].tolist() == [RIDER]


def test_ratios_by_hand():
    """Precision, recall and F1 of 3 right, 1 wrong and 2 missed; None where there is nothing."""
    counts = ClassCounts(1, right=3, wrong=1, missed=2)
    assert (counts.precision, counts.recall, counts.f1) == pytest.approx((3 / 4, 3 / 5, 6 / 9))
    nothing = ClassCounts(1, 0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)


def test_confusion_by_hand():
    """A horse found as a rider, a rider found, one invented, one missed."""
    objects = [(A, HORSE), (B, RIDER), (C, RIDER)]
    matching = match(objects, [(A, 0.9, RIDER), (B, 0.8, RIDER), ([0, 150, 40, 199], 0.7, HORSE)])
    confusion = compute_confusion(matching)
    assert confusion.class_ids.tolist() == [HORSE, RIDER]
    assert confusion.counts.tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_what_was_found_rightly_is_not_also_mistaken():
    """A better scored rider on the horse's place takes the horse from no horse."""
    matching = match([(A, HORSE)], [(A, 0.9, RIDER), (A, 0.8, HORSE)])
    assert compute_confusion(matching).counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


@settings(deadline=None)
@given(data=st.data(), threshold=st.sampled_from([0.0, 0.5]))
def test_every_box_is_counted_once(images, data, threshold):
    """Rows of the confusion matrix sum to the objects, columns to the detections that count."""
    sample = gather_sample(*data.draw(images))
    matching = match_images(sample, score_thresholds=threshold)
    counts = compute_confusion(matching).counts
    verdicts = matching.assignment.right | matching.assignment.wrong
    size = len(sample.class_ids)
    assert (
        counts[:-1].sum(axis=1).tolist()
        == np.bincount(sample.truth.class_rows[sample.truth.counted], minlength=size).tolist()
    )
    assert (
        counts[:, :-1].sum(axis=0).tolist()
        == np.bincount(matching.results.class_rows[verdicts], minlength=size).tolist()
    )
    assert np.diag(counts)[:-1].tolist() == [row.right for row in matching.list_classes()]
    assert np.trace(counts) == sum(image.right for image in matching.list_images())
