"""Which annotated boxes can be learned: inside their picture, with an area.

Owns what becomes of the others: cut at the picture's edge, or left out, and told in each case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detector.annotations.box_checks import check_boxes
from detector.annotations.box_table import build_box_table
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.picture_facts import PictureFacts
from detector.annotations.problems import Problem

_OUTCOMES = {
    "box-swapped": "left out of training",
    "box-no-area": "left out of training",
    "box-outside": "cut at the picture's edge for training",
    "box-over-edge": "cut at the picture's edge for training",
}


def keep_learnable_boxes(
    annotations: Sequence[Annotation], facts: Mapping[str, PictureFacts]
) -> tuple[list[Annotation], list[Problem]]:
    """Cut boxes at their upright picture's edges and drop those without area; tell of each as a warning.

    Every annotation has a picture, of which ``facts`` tell the size.
    """
    sizes = [_find_size(annotation, facts) for annotation in annotations]
    dataset = Dataset(Path(), tuple(annotations))
    problems = [
        replace(problem, severity="warning", message=f"{problem.message}, and is {_OUTCOMES[problem.code]}")
        for problem in check_boxes(dataset, build_box_table(dataset, sizes))
        if problem.code in _OUTCOMES
    ]
    kept = [
        replace(annotation, boxes=cut_boxes(annotation.boxes, size))
        for annotation, size in zip(annotations, sizes, strict=True)
    ]
    return kept, problems


def cut_boxes(boxes: Sequence[Box], size_wh_px: tuple[int, int]) -> tuple[Box, ...]:
    """Cut boxes at the edges of a picture of ``size_wh_px``; those of which nothing is left are dropped.

    >>> [box.xyxy_px for box in cut_boxes([Box("cat", (-2, 3, 5, 9)), Box("cat", (4, 4, 4, 6))], (10, 8))]
    [(0, 3, 5, 8)]
    """
    width, height = size_wh_px
    cut = []
    for box in boxes:
        x_min, y_min, x_max, y_max = box.xyxy_px
        edges = (max(x_min, 0), max(y_min, 0), min(x_max, width), min(y_max, height))
        inside = box if edges == box.xyxy_px else replace(box, xyxy_px=edges)
        cut += [inside] if inside.area_px > 0 else []
    return tuple(cut)


def _find_size(annotation: Annotation, facts: Mapping[str, PictureFacts]) -> tuple[int, int]:
    fact = facts[str(annotation.image)]
    return fact.width_px or 0, fact.height_px or 0
