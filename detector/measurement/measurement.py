"""What was measured, of what, on what, and the pictures to look at: everything that a page shows.

Owns the record, its JSON and the choice of pictures. Opens no files and imports no decoder, so that reports
can read it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from detector.evaluation.matching import ImageBoxes, ImageCounts, match_images
from detector.evaluation.report import EvaluationReport
from detector.evaluation.results import ImageResult
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import ImageTruth

MAX_PICTURES = 60
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class MeasuredPicture:
    """One picture: ``path`` is its file, ``boxes`` are at the report's thresholds, in upright pixels."""

    image: str
    path: Path
    width_px: int
    height_px: int
    counts: ImageCounts
    boxes: ImageBoxes


@dataclass(frozen=True)
class Subject:
    """The model and the data: ``data`` names folder and split, ``source`` says where detections came from."""

    model_name: str
    model_version: str
    model_digest: str
    data: str
    source: str


@dataclass(frozen=True)
class Measurement:
    """A report and what it is about.

    ``pictures`` are the worst. ``left_out``: boxes of classes that the model doesn't know, by name.
    ``failures``: why pictures were left out, by name. ``lowest_score``: of all detections, None without any.
    """

    report: EvaluationReport
    subject: Subject
    evaluated_at: datetime
    pictures: tuple[MeasuredPicture, ...]
    labels: Mapping[int, str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    lowest_score: float | None = None

    def name_class(self, class_id: int) -> str:
        """Name a class as the report does."""
        return self.labels.get(class_id, f"class_{class_id}")

    def summarise(self) -> dict[str, Any]:
        """Give the figures that a program asks for first."""
        report = self.report
        return {
            "model": f"{self.subject.model_name} {self.subject.model_version}",
            "images": report.image_count,
            "objects": report.object_count,
            "detections": report.detection_count,
            "ap": report.coco.ap,
            "ap50": report.coco.ap50,
            "ap75": report.coco.ap75,
            "ar_100": report.coco.ar_100,
            "voc_ap50": report.voc.ap,
            "open_images_ap": report.open_images_ap,
            "pictures_left_out": len(self.failures),
            "boxes_left_out": sum(self.left_out.values()),
        }

    def to_json(self) -> str:
        """Write everything but the pictures' boxes as strict JSON."""
        content = {
            "format_version": _FORMAT_VERSION,
            "subject": vars(self.subject),
            "evaluated_at": self.evaluated_at.isoformat(),
            "summary": self.summarise(),
            "left_out": dict(self.left_out),
            "failures": dict(self.failures),
            "report": json.loads(self.report.to_json()),
        }
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def choose_pictures(
    report: EvaluationReport,
    truths: Sequence[ImageTruth],
    results: Sequence[ImageResult],
    root: Path,
    *,
    most: int = MAX_PICTURES,
) -> tuple[MeasuredPicture, ...]:
    """Choose the worst pictures of a report and match them again; images are named relative to ``root``."""
    counts = report.images[:most]
    wanted = {row.image for row in counts}
    kept = [truth for truth in truths if truth.image in wanted]
    if not kept:
        return ()
    matching = match_images(
        gather_sample(kept, [result for result in results if result.image in wanted]),
        iou_threshold=report.iou_threshold,
        score_thresholds=report.score_thresholds,
    )
    sizes = {truth.image: (truth.width_px, truth.height_px) for truth in kept}
    return tuple(
        MeasuredPicture(row.image, root / row.image, *sizes[row.image], row, matching.select_image(row.image))
        for row in counts
    )


def find_lowest_score(results: Sequence[ImageResult]) -> float | None:
    """Find the lowest score of all detections; None without any."""
    return min((float(result.scores.min()) for result in results if len(result.scores)), default=None)
