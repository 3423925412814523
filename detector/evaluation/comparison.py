"""Is the challenger better than the champion? A paired bootstrap over the images that both were tried on.

Owns the comparison of two detectors by COCO's average precision. Paired: each resample counts the same images
for both, so that what makes an image hard cancels out. Decides nothing: who promotes looks at the interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.errors import EvaluationError
from detector.evaluation.matches import COCO_IOUS, COCO_MOST_DETECTIONS, ClassMatches, match_classes
from detector.evaluation.resampling import DrawArray, compute_interval, draw_image_counts, resample_ap
from detector.evaluation.results import ImageResult
from detector.evaluation.sample import Sample, gather_sample
from detector.evaluation.truth import FloatArray, ImageTruth

Metric = Literal["ap", "ap50", "ap75"]

_IOUS: dict[Metric, tuple[float, ...]] = {"ap": COCO_IOUS, "ap50": COCO_IOUS[:1], "ap75": COCO_IOUS[5:6]}


@dataclass(frozen=True)
class Comparison:
    """Both detectors' figures on all images, their difference, and its interval by ``confidence``.

    ``difference`` is challenger less champion. ``share_better`` is the part of the resamples in which the
    challenger was ahead, equals counted half.
    """

    metric: Metric
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    share_better: float
    confidence: float
    resamples: int
    images: int

    @property
    def is_better(self) -> bool:
        """Tell whether the whole interval lies above zero."""
        return self.low > 0


def compare_detectors(
    truths: Sequence[ImageTruth],
    champion: Sequence[ImageResult],
    challenger: Sequence[ImageResult],
    *,
    random: np.random.Generator,
    metric: Metric = "ap",
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two detectors on the same images.

    Raises ``EvaluationError`` where a result doesn't fit the truth, or no object counts.
    """
    sides = [prepare_sample(gather_sample(truths, results), metric) for results in (champion, challenger)]
    once = np.ones((len(truths), 1), np.int16)
    figures = [float(compute_metric(side, once)[0]) for side in sides]
    if np.isnan(figures[0]):
        raise EvaluationError(f"no object in {len(truths)} images counts, so there is nothing to compare")
    image_counts = draw_image_counts(len(truths), resamples, random)
    differences = compute_metric(sides[1], image_counts) - compute_metric(sides[0], image_counts)
    low, high = compute_interval(differences, confidence)
    ahead = np.mean((differences > 0) + 0.5 * (differences == 0), where=~np.isnan(differences))
    return Comparison(
        metric,
        champion=figures[0],
        challenger=figures[1],
        difference=figures[1] - figures[0],
        low=low,
        high=high,
        share_better=float(ahead),
        confidence=confidence,
        resamples=resamples,
        images=len(truths),
    )


def prepare_sample(sample: Sample, metric: Metric) -> list[ClassMatches]:
    """Match a sample as the metric needs it, leaving out the classes without objects."""
    classes = match_classes(sample, _IOUS[metric], most_detections=COCO_MOST_DETECTIONS)
    return [matches for matches in classes if matches.truth_counts.any()]


def compute_metric(classes: Sequence[ClassMatches], image_counts: DrawArray) -> FloatArray:
    """Compute the metric in each resample: float64 [B], the mean over the classes that have objects in it.

    ``image_counts`` int16 [I, B]. NaN where no class has any.
    """
    total = np.zeros(image_counts.shape[1])
    known = np.zeros(image_counts.shape[1], np.int64)
    for matches in classes:
        ap = resample_ap(matches, image_counts).mean(axis=0)
        known += ~np.isnan(ap)
        total += np.nan_to_num(ap)
    return np.divide(total, known, out=np.full_like(total, np.nan), where=known > 0)
