"""What a check found, ready to be shown: counts, measures of the boxes, problems, pictures to look at.

Owns the report's form and its JSON, whose keys are stable. Refuses to compute; opens no files, so that pages
can import it.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

from detector.annotations.problems import Problem

FORMAT_VERSION = 1
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One class: how many boxes have it, and in how many images it is."""

    label: str
    boxes: int
    images: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One property of the boxes that have an area: ``values`` at ``QUANTILES``, empty without boxes."""

    name: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AnchorFit:
    """How well common anchors meet the boxes of pictures fitted into a square of ``canvas_px``.

    Anchors have sides (square roots of their areas) and aspect ratios from the first to the second of
    ``sides_px`` and ``ratios``. ``unmatched_share`` of ``boxes`` overlap no anchor by an IoU of ``min_iou``;
    ``too_small_share`` and ``too_large_share`` are those of them beyond the anchors' sides, the rest are too
    long.
    """

    canvas_px: int
    sides_px: tuple[float, float]
    ratios: tuple[float, float]
    min_iou: float
    boxes: int
    unmatched_share: float
    too_small_share: float
    too_large_share: float

    @property
    def too_long_share(self) -> float:
        """The part of the boxes that no anchor meets, though their size is within the anchors' range."""
        return max(0.0, self.unmatched_share - self.too_small_share - self.too_large_share)


@dataclass(frozen=True, slots=True)
class ClusterCount:
    """Several boxes of one class around one object, each two of them with an IoU above ``min_iou``.

    ``objects`` have more than one box each, ``boxes`` together, in ``images``: ``image_names``, ordered.
    """

    min_iou: float
    objects: int
    boxes: int
    images: int
    image_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownBox:
    """One box of a picture to look at: edges in fractions of the upright picture, ``class_id`` from 1."""

    label: str
    class_id: int
    left: float
    top: float
    right: float
    bottom: float
    is_faulty: bool


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """One picture to look at, why, and its boxes, the largest first."""

    image: str
    path: str
    size_bytes: int
    width_px: int
    height_px: int
    boxes: tuple[ShownBox, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Report:
    """What is in a dataset, and what is wrong with it.

    Of the ``images``, ``annotated`` ones have an annotation file; ``background`` ones are without objects:
    annotated ones without boxes and, with ``unannotated_is_background``, those that nobody annotated; else
    they are ``unannotated``. Of the ``annotation_files``, ``left_out`` can't be used; their pictures are no
    ``images``. ``pictures_read`` is how closely pictures were looked at: pixels, headers or names.
    """

    root: str
    pictures_read: str
    unannotated_is_background: bool
    images: int
    annotated: int
    background: int
    unannotated: int
    left_out: int
    annotation_files: int
    verified: int
    boxes: int
    difficult: int
    truncated: int
    occluded: int
    classes: tuple[ClassCount, ...]
    measures: tuple[Measure, ...]
    anchors: AnchorFit
    clusters: ClusterCount
    problems: tuple[Problem, ...]
    pictures: tuple[ShownPicture, ...] = ()

    @property
    def breaks_training(self) -> bool:
        """Tell whether any problem is an error."""
        return any(problem.severity == "error" for problem in self.problems)

    def count_severities(self) -> dict[str, int]:
        """Count the problems of each severity, all three of them, the gravest first."""
        counts = Counter(problem.severity for problem in self.problems)
        return {severity: counts[severity] for severity in ("error", "warning", "note")}

    def to_json(self) -> dict[str, Any]:
        """Give the report as a JSON object: all fields but ``pictures``, and ``problem_counts``."""
        fields = {field.name for field in dataclasses.fields(self)} - {"pictures"}
        content: dict[str, Any] = {"format_version": FORMAT_VERSION}
        content |= {name: _to_plain(getattr(self, name)) for name in sorted(fields)}
        content["problem_counts"] = self.count_severities()
        content["quantiles"] = list(QUANTILES)
        return content


def _to_plain(value: Any) -> Any:  # noqa: ANN401 (any field of a report)
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return dataclasses.asdict(value) if is_record else value
