"""VOC's figures by hand, and against a loop written as the development kit reads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth
from detector.evaluation.voc import compute_voc

SIZE = (200, 200)
A, B = [0, 0, 100, 100], [100, 100, 200, 200]


def compute_figures(truth_boxes, boxes, scores, **flags):
    """Compute VOC's figures of one image and one class."""
    truth = make_truth("a", SIZE, truth_boxes, [1] * len(truth_boxes), **flags)
    return compute_voc(gather_sample([truth], [make_result("a", SIZE, boxes, scores, [1] * len(boxes))]))[0]


def test_a_wrong_one_between_two_right_ones():
    """Precision 1 to recall .5, then 2/3 to recall 1; six of the eleven recalls lie at or below .5."""
    figures = compute_figures([A, B], [A, [0, 100, 50, 150], B], [0.9, 0.8, 0.7])
    assert figures.ap == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert figures.ap_eleven_points == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_a_second_detection_of_an_object_is_wrong():
    """Though another object is free that it overlaps less: VOC looks at the nearest only."""
    beside = [20, 0, 120, 100]
    figures = compute_figures([A, beside], [A, [2, 0, 102, 100]], [0.9, 0.8])
    assert figures.ap == pytest.approx(0.5)


@pytest.mark.parametrize("flag", ["difficult", "ignore", "crowd"])
def test_a_difficult_box_counts_neither_way(flag):
    """Two detections of it, better scored than the right one, don't spoil a perfect figure."""
    figures = compute_figures([A, B], [B, B, A], [0.9, 0.8, 0.7], **{flag: [False, True]})
    assert figures.ap == pytest.approx(1)


def test_three_of_ten_reach_recall_three_tenths():
    """Four of the eleven recalls, 0, .1, .2 and .3, have precision 1."""
    boxes = [[20 * n, 0, 20 * n + 10, 10] for n in range(10)]
    figures = compute_figures(boxes, boxes[:3], [0.9, 0.8, 0.7])
    assert figures.ap_eleven_points == pytest.approx(4 / 11)


@settings(deadline=None)
@given(data=st.data())
def test_a_plain_loop_agrees(images, data):
    """Detection by detection, as the development kit goes through them."""
    truths, results = data.draw(images)
    truths = [make_truth(t.image, SIZE, t.boxes_xyxy_px, t.class_ids, difficult=t.difficult) for t in truths]
    figures, each = compute_voc(gather_sample(truths, results))
    plain = {class_id: loop_over_detections(truths, results, class_id) for class_id in each}
    assert {class_id: figures.ap for class_id, figures in each.items()} == pytest.approx(plain)
    known = [ap for ap in plain.values() if ap is not None]
    assert figures.ap == (pytest.approx(np.mean(known)) if known else None)


def loop_over_detections(truths, results, class_id):
    """Compute VOC's AP of one class without any array trick."""
    objects = {
        t.image: [[*row] for row in zip(t.boxes_xyxy_px, t.class_ids, t.difficult, strict=True)]
        for t in truths
    }
    total = sum(i == class_id and not d for rows in objects.values() for _, i, d in rows)
    found = [
        (score, result.image, box)
        for result in results
        for box, score, own in zip(result.boxes_xyxy_px, result.scores, result.class_ids, strict=True)
        if own == class_id
    ]
    right, used = [], set()
    for _, image, box in sorted(found, key=lambda row: -row[0]):
        rows = [(divide(box, b), -n, d) for n, (b, i, d) in enumerate(objects[image]) if i == class_id]
        iou, place, difficult = max(rows, default=(0, 0, False))
        if iou >= 0.5 and difficult:
            continue
        right.append(iou >= 0.5 and (image, place) not in used)
        used |= {(image, place)} if iou >= 0.5 else set()
    if not total:
        return None
    precision = [sum(right[: n + 1]) / (n + 1) for n in range(len(right))]
    return sum(max(precision[n:]) / total for n in range(len(right)) if right[n])


def divide(a, b):
    """Compute the IoU of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / whole if whole else 0.0
