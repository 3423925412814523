"""One call from ground truth and detections to the whole report.

Owns the order of the computations. Refuses nothing that the metrics don't; reads and writes no files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detector.evaluation.coco import CocoFigures, compute_coco
from detector.evaluation.confusion import compute_confusion
from detector.evaluation.curves import BestThreshold, choose_thresholds, compute_curve
from detector.evaluation.hierarchy import Parents, expand_truth
from detector.evaluation.matches import ClassMatches, match_classes
from detector.evaluation.matching import Matching, match_images
from detector.evaluation.open_images import compute_open_images
from detector.evaluation.report import ClassReport, EvaluationReport
from detector.evaluation.results import ImageResult
from detector.evaluation.sample import Sample, gather_sample
from detector.evaluation.truth import ImageTruth
from detector.evaluation.voc import VocFigures, compute_voc

_CURVE_POINTS = 200
_FALLBACK_THRESHOLD = 0.5  # for a class that nothing was found of


def assess_detections(
    truths: Sequence[ImageTruth],
    results: Sequence[ImageResult],
    *,
    labels: Mapping[int, str],
    random: np.random.Generator,
    iou_threshold: float = 0.5,
    score_thresholds: float | Mapping[int, float] | None = None,
    parents: Parents | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> EvaluationReport:
    """Evaluate one detector on one labelled set by every metric.

    ``labels`` name class ids; one without a name is ``class_N``. ``score_thresholds`` are those of the
    counts: one, or one for each class id; None takes each class's best F1 on these very images, which
    flatters the counts a little. ``parents`` expands the truth, for Open Images alone.
    ``dataclasses.replace`` adds a comparison. Raises ``EvaluationError`` where truth and results don't fit.
    """
    sample = gather_sample(truths, results)
    classes = match_classes(sample, (iou_threshold,))
    best = choose_thresholds(classes, random=random, resamples=resamples, confidence=confidence)
    if score_thresholds is None:
        score_thresholds = {class_id: chosen.threshold for class_id, chosen in best.items()}
    thresholds = _spread_thresholds(sample, score_thresholds)
    matching = match_images(sample, iou_threshold=iou_threshold, score_thresholds=thresholds)
    figures = _compute_figures(sample, truths, results, parents)
    return EvaluationReport(
        image_count=len(sample.images),
        object_count=int(sample.truth.counted.sum()),
        uncounted_object_count=int((~sample.truth.counted).sum()),
        detection_count=len(sample.results.scores),
        iou_threshold=iou_threshold,
        score_thresholds=thresholds,
        coco=figures.coco[0],
        voc=figures.voc[0],
        open_images_ap=figures.open_images[0],
        classes=_report_classes(matching, classes, best, labels, figures),
        confusion=compute_confusion(matching),
        images=tuple(matching.list_images()),
    )


@dataclass(frozen=True)
class _Figures:
    """Each metric's figure of all classes, and that of each class by its id."""

    coco: tuple[CocoFigures, dict[int, CocoFigures]]
    voc: tuple[VocFigures, dict[int, VocFigures]]
    open_images: tuple[float | None, dict[int, float | None]]


def _compute_figures(
    sample: Sample, truths: Sequence[ImageTruth], results: Sequence[ImageResult], parents: Parents | None
) -> _Figures:
    expanded = sample
    if parents is not None:
        expanded = gather_sample([expand_truth(truth, parents) for truth in truths], results)
    return _Figures(compute_coco(sample), compute_voc(sample), compute_open_images(expanded))


def _spread_thresholds(sample: Sample, thresholds: float | Mapping[int, float]) -> dict[int, float]:
    return {
        class_id: thresholds.get(class_id, _FALLBACK_THRESHOLD)
        if isinstance(thresholds, Mapping)
        else thresholds
        for class_id in sample.class_ids.tolist()
    }


def _report_classes(
    matching: Matching,
    classes: Sequence[ClassMatches],
    best: Mapping[int, BestThreshold],
    labels: Mapping[int, str],
    figures: _Figures,
) -> tuple[ClassReport, ...]:
    truth = matching.sample.truth
    uncounted = np.bincount(truth.class_rows[~truth.counted], minlength=len(classes)).tolist()
    return tuple(
        ClassReport(
            matches.class_id,
            labels.get(matches.class_id, f"class_{matches.class_id}"),
            objects=int(matches.truth_counts.sum()),
            uncounted_objects=aside,
            detections=len(matches.scores),
            coco=figures.coco[1][matches.class_id],
            voc=figures.voc[1][matches.class_id],
            open_images_ap=figures.open_images[1][matches.class_id],
            counts=counts,
            curve=compute_curve(matches, most_points=_CURVE_POINTS),
            threshold=best.get(matches.class_id),
        )
        for matches, counts, aside in zip(classes, matching.list_classes(), uncounted, strict=True)
    )
