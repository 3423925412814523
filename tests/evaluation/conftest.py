"""Labelled images drawn by hypothesis, and pycocotools' word on them."""

import contextlib
import io

import pytest
from hypothesis import strategies as st

from detector.evaluation.results import make_result
from detector.evaluation.truth import make_truth

SIZE = (200, 200)
places = st.integers(0, 30)
sides = st.integers(1, 40)  # areas on both sides of 32 x 32
boxes_xyxy = st.tuples(places, places, sides, sides).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
nudges = st.tuples(*[st.integers(-4, 4)] * 4)
scores = st.integers(1, 12).map(lambda twelfths: twelfths / 12)  # so that some are equal


@st.composite
def draw_images(draw, *, most_images=4, classes=3, flagged=True):
    """Draw ground truth and results: half of the detections lie near an object; some objects are flagged."""
    class_ids = st.integers(1, classes)
    truths, results = [], []
    for number in range(draw(st.integers(1, most_images))):
        objects = draw(st.lists(st.tuples(boxes_xyxy, class_ids, st.integers(0, 11)), max_size=5))
        near = [(move_box(box, draw(nudges)), class_id) for box, class_id, _ in objects for _ in range(2)]
        found = near + draw(st.lists(st.tuples(boxes_xyxy, class_ids), max_size=4))
        kinds = [kind if flagged else 0 for _, _, kind in objects]
        truths.append(
            make_truth(
                f"{number}.jpg",
                SIZE,
                [box for box, _, _ in objects],
                [class_id for _, class_id, _ in objects],
                difficult=[kind == 1 for kind in kinds],
                crowd=[kind == 2 for kind in kinds],
                ignore=[kind == 3 for kind in kinds],
            )
        )
        drawn = [draw(scores) for _ in found]
        results.append(
            make_result(
                f"{number}.jpg",
                SIZE,
                [box for box, _ in found],
                drawn,
                [class_id for _, class_id in found],
            )
        )
    return truths, results


def move_box(box, nudge):
    """Move the edges of a box, keeping low before high."""
    x_min, y_min, x_max, y_max = (edge + shift for edge, shift in zip(box, nudge, strict=True))
    return min(x_min, x_max), min(y_min, y_max), max(x_min, x_max), max(y_min, y_max)


@pytest.fixture(scope="session")
def images():
    """Give the strategy of ground truth and results with difficult, crowd and ignored boxes."""
    return draw_images()


@pytest.fixture(scope="session")
def plain_images():
    """Give the strategy of ground truth and results where every object counts."""
    return draw_images(flagged=False)


@pytest.fixture(scope="session")
def ask_pycocotools():
    """Give the function that computes pycocotools' twelve figures, -1 for none; it knows no difficult box."""
    return compute_by_pycocotools


def compute_by_pycocotools(truths, results, class_ids):
    """Evaluate by the original, image by image as they come."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects = [
        {"image_id": number, "category_id": int(class_id), "bbox": to_xywh(box), "iscrowd": int(crowd)}
        for number, truth in enumerate(truths, 1)
        for box, class_id, crowd in zip(truth.boxes_xyxy_px, truth.class_ids, truth.crowd, strict=True)
    ]
    found = [
        {"image_id": number, "category_id": int(class_id), "bbox": to_xywh(box), "score": float(score)}
        for number, result in enumerate(results, 1)
        for box, class_id, score in zip(result.boxes_xyxy_px, result.class_ids, result.scores, strict=True)
    ]
    for number, row in enumerate(objects, 1):
        row |= {"id": number, "area": row["bbox"][2] * row["bbox"][3]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": number} for number in range(1, len(truths) + 1)],
            "categories": [{"id": int(class_id)} for class_id in class_ids],
            "annotations": objects,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found) if found else COCO(), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats.tolist()


def to_xywh(box):
    """Give a box as a list of x, y, width, height."""
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
