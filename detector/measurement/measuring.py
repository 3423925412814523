"""One call from a model and a data set to the report of an evaluation.

Owns the order: truth, predictions, metrics. Refuses what each of them refuses; writes no file.
"""

from collections.abc import Collection, Mapping

import numpy as np

from detector.annotations.dataset import Dataset
from detector.evaluation.assessment import assess_detections
from detector.evaluation.hierarchy import Parents
from detector.evaluation.report import EvaluationReport
from detector.labels import LabelMap
from detector.measurement.opening import open_model
from detector.measurement.predictions import MAX_PIXELS, DetectionModel, Progress, predict_images
from detector.measurement.truths import CLUSTER_IOU, build_truths, map_names
from detector.settings import ModelSettings


def measure_model(
    model: DetectionModel | ModelSettings,
    dataset: Dataset,
    labels: LabelMap | Mapping[int, str] | None = None,
    *,
    images: Collection[str] | None = None,
    cluster_iou: float | None = CLUSTER_IOU,
    ignore_unknown: bool = False,
    iou_threshold: float = 0.5,
    score_thresholds: float | Mapping[int, float] | None = None,
    parents: Parents | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Measure a model on annotated pictures by every metric.

    ``model`` is a loaded one, which needs its ``labels`` (names by class id), or the settings of one, whose
    own labels count where none are given. ``images`` are names of pictures as in a split's manifest, None
    takes all annotated ones. The rest: ``build_truths``, ``predict_images`` and ``assess_detections``;
    ``seed`` is that of the bootstrap.

    Detections below the model's ``min_score`` are not there to be counted: AP wants it near 0. Raises
    ``EvaluationError``, ``ModelError`` and ``LabelMapError``, by name.
    """
    if isinstance(model, ModelSettings):
        opened = open_model(model)
        model, labels = opened.predictor, labels or opened.labels
    names = labels.names if isinstance(labels, LabelMap) else labels or {}
    truths = build_truths(
        dataset, map_names(names), images, cluster_iou=cluster_iou, ignore_unknown=ignore_unknown
    )
    paths = {truth.image: dataset.root / truth.image for truth in truths}
    results = predict_images(model, paths, max_pixels=max_pixels, threads=threads, progress=progress)
    return assess_detections(
        truths,
        results,
        labels=names,
        random=np.random.default_rng(seed),
        iou_threshold=iou_threshold,
        score_thresholds=score_thresholds,
        parents=parents,
        resamples=resamples,
        confidence=confidence,
    )
