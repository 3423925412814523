"""Right, wrong and missed boxes at one IoU threshold and a score threshold, per image and per class.

Owns the counts that a person looks at: greedy by score inside a class, one detection an object. Draws
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detector.evaluation.assignment import Assignment, match_within_classes
from detector.evaluation.sample import ResultColumns, Sample, select_results
from detector.evaluation.truth import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class ImageCounts:
    """Detections that found an object, found none, and objects that nothing found, in one image."""

    image: str
    right: int
    wrong: int
    missed: int


@dataclass(frozen=True)
class ClassCounts:
    """The same of one class in all images; the ratios are None where there is nothing to divide by."""

    class_id: int
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float | None:
        """Divide the right detections by all that count."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        """Divide the right detections by the objects."""
        return self.right / (self.right + self.missed) if self.right + self.missed else None

    @property
    def f1(self) -> float | None:
        """Compute the harmonic mean of precision and recall."""
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else None


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """The boxes of one image, for a picture: detections with their verdict, objects found and missed.

    Detections best score first: ``boxes_xyxy_px`` [M, 4], ``scores``, ``class_ids`` and bool ``right`` and
    ``wrong`` [M]. Objects: ``truth_boxes_xyxy_px`` [N, 4], ``truth_class_ids`` and bool ``missed`` [N].
    """

    boxes_xyxy_px: FloatArray
    scores: FloatArray
    class_ids: IntArray
    right: BoolArray
    wrong: BoolArray
    truth_boxes_xyxy_px: FloatArray
    truth_class_ids: IntArray
    missed: BoolArray


@dataclass(frozen=True, eq=False)
class Matching:
    """All images of a sample, matched; ``results`` are the detections above their thresholds only."""

    sample: Sample
    iou_threshold: float
    results: ResultColumns
    assignment: Assignment
    missed: BoolArray

    def list_images(self) -> list[ImageCounts]:
        """Count per image, worst first: most wrong and missed together, then most missed, then by name."""
        size = len(self.sample.images)
        columns = (
            np.bincount(self.results.image_rows[self.assignment.right], minlength=size),
            np.bincount(self.results.image_rows[self.assignment.wrong], minlength=size),
            np.bincount(self.sample.truth.image_rows[self.missed], minlength=size),
        )
        rows = zip(self.sample.images, *(column.tolist() for column in columns), strict=True)
        images = [ImageCounts(*row) for row in rows]
        return sorted(images, key=lambda row: (-row.wrong - row.missed, -row.missed, row.image))

    def list_classes(self) -> list[ClassCounts]:
        """Count per class, by class id."""
        size = len(self.sample.class_ids)
        columns = (
            np.bincount(self.results.class_rows[self.assignment.right], minlength=size),
            np.bincount(self.results.class_rows[self.assignment.wrong], minlength=size),
            np.bincount(self.sample.truth.class_rows[self.missed], minlength=size),
        )
        rows = zip(self.sample.class_ids.tolist(), *(column.tolist() for column in columns), strict=True)
        return [ClassCounts(*row) for row in rows]

    def select_image(self, image: str) -> ImageBoxes:
        """Give the boxes of one image; raises ``ValueError`` where the sample has no such image."""
        row = self.sample.images.index(image)
        here, there = self.results.image_rows == row, self.sample.truth.image_rows == row
        return ImageBoxes(
            self.results.boxes_xyxy_px[here],
            self.results.scores[here],
            self.sample.class_ids[self.results.class_rows[here]],
            self.assignment.right[here],
            self.assignment.wrong[here],
            self.sample.truth.boxes_xyxy_px[there],
            self.sample.class_ids[self.sample.truth.class_rows[there]],
            self.missed[there],
        )


def match_images(
    sample: Sample, *, iou_threshold: float = 0.5, score_thresholds: float | Mapping[int, float] = 0.5
) -> Matching:
    """Match every image of a sample, with detections of at least the score threshold only.

    ``score_thresholds`` is one for all classes, or one for each class id; a class without one keeps all.
    """
    least = [
        score_thresholds.get(class_id, -np.inf) if isinstance(score_thresholds, Mapping) else score_thresholds
        for class_id in sample.class_ids.tolist()
    ]
    kept = sample.results.scores >= np.array(least, np.float64)[sample.results.class_rows]
    results = select_results(sample.results, kept)
    (assignment,) = match_within_classes(sample.truth, results, (iou_threshold,))
    missed = sample.truth.counted
    missed[assignment.truth_rows[assignment.right]] = False
    return Matching(sample, iou_threshold, results, assignment, missed)
