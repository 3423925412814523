"""From the best package to a released model: thresholds, the final figures, the registry, the champion.

Owns the order of these steps and which pictures each may see: thresholds come from validation, the final
figures from the test split, which nothing before has looked at.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from detector.evaluation.assessment import assess_detections
from detector.evaluation.report import EvaluationReport
from detector.evaluation.results import ImageResult
from detector.evaluation.truth import ImageTruth
from detector.measurement.measurement import Measurement, Subject, choose_pictures, find_lowest_score
from detector.measurement.opening import OpenedModel, open_model
from detector.measurement.predictions import predict_images
from detector.measurement.thresholds import FILE_NAME, ThresholdOrigin, write_thresholds
from detector.settings import ModelSettings
from detector.training.experiment.experiments import Experiment
from detector.training.experiment.promotion import (
    LabelledTruth,
    Promotion,
    SideResults,
    apply_promotion,
    decide_promotion,
)
from detector.training.experiment.registration import ModelVersion, find_champion, register_package
from detector.training.experiment.runs import TrackedRun
from detector.training.export.package import LABEL_MAP, copy_package, write_manifest, write_metrics
from detector.training.input.examples import TrainingData
from detector.training.train_settings import TrainSettings
from detector.training.training_run import TrainedModel, build_split_truths


@dataclass(frozen=True)
class Release:
    """What became of the best model.

    ``validation`` and ``test`` are measured at the thresholds that validation chose; ``test`` is None where
    the split has no pictures. ``version`` is the registry's.
    """

    package: Path
    validation: Measurement
    test: Measurement | None
    version: ModelVersion
    promotion: Promotion


@dataclass(frozen=True)
class _Tried:
    """A model on the pictures of a split."""

    split: str
    truths: list[ImageTruth]
    results: list[ImageResult]


def release_model(
    trained: TrainedModel,
    data: TrainingData,
    settings: TrainSettings,
    experiment: Experiment,
    run: TrackedRun,
) -> Release:
    """Measure the package, complete its files, register it, and promote it where the settings' rule says so.

    Raises ``TrainingError`` or ``ModelError`` where MLflow can't keep it.
    """
    opened = _open(str(trained.package), settings, labels=str(trained.package / LABEL_MAP))
    tried = _try(opened, data, "val", settings)
    validation = _assess(tried, data, settings, None)
    thresholds = {c.class_id: c.threshold.threshold for c in validation.classes if c.threshold is not None}
    _write_thresholds(validation, opened, data, trained.package)
    test = None
    measured = _measure(validation, tried, opened, data)
    if data.splits["test"]:
        tried = _try(opened, data, "test", settings)
        test = _measure(_assess(tried, data, settings, thresholds), tried, opened, data)
    figures = _join_figures(validation, test)
    _complete(trained, data, settings, figures)
    run.log_metrics(figures)
    name = settings.tracking.register_as or settings.model.name
    version = register_package(run, trained.package, name, metrics=figures, data_digest=data.digest)
    promotion = _promote(settings, data, experiment, version, tried)
    return Release(trained.package, measured, test, version, promotion)


def list_figures(report: EvaluationReport) -> dict[str, float]:
    """List a report's figures that are known, by short names: COCO's, VOC's and Open Images'."""
    figures = asdict(report.coco) | {"voc_ap50": report.voc.ap, "open_images_ap": report.open_images_ap}
    figures |= {f"ap50/{row.label}": row.coco.ap50 for row in report.classes}
    return {name: float(value) for name, value in figures.items() if value is not None}


def _join_figures(validation: EvaluationReport, test: Measurement | None) -> dict[str, float]:
    figures = {f"val/{name}": value for name, value in list_figures(validation).items()}
    if test is not None:
        figures |= {f"test/{name}": value for name, value in list_figures(test.report).items()}
    return figures


def _open(
    uri: str, settings: TrainSettings, *, labels: str | None = None, registry_uri: str | None = None
) -> OpenedModel:
    name = settings.model.name if labels is not None else None
    min_score = settings.export.min_score
    return open_model(
        ModelSettings(uri=uri, labels=labels, name=name, registry_uri=registry_uri, min_score=min_score)
    )


def _try(opened: OpenedModel, data: TrainingData, split: str, settings: TrainSettings) -> _Tried:
    paths = {example.name: example.path for example in data.splits[split]}
    results = predict_images(
        opened.predictor, paths, max_pixels=settings.data.max_pixels, threads=settings.data.workers
    )
    return _Tried(split, build_split_truths(data, split, settings), results)


def _assess(
    tried: _Tried, data: TrainingData, settings: TrainSettings, thresholds: Mapping[int, float] | None
) -> EvaluationReport:
    return assess_detections(
        tried.truths,
        tried.results,
        labels=data.labels.names,
        random=np.random.default_rng(settings.fit.seed),
        score_thresholds=thresholds,
        resamples=settings.tracking.resamples,
        confidence=settings.tracking.confidence,
    )


def _measure(report: EvaluationReport, tried: _Tried, opened: OpenedModel, data: TrainingData) -> Measurement:
    root = data.dataset.root
    return Measurement(
        report,
        Subject(opened.name, opened.version, opened.digest, f"{root.name}, {tried.split}", "the model"),
        datetime.now(UTC),
        choose_pictures(report, tried.truths, tried.results, root),
        data.labels.names,
        lowest_score=find_lowest_score(tried.results),
    )


def _write_thresholds(
    validation: EvaluationReport, opened: OpenedModel, data: TrainingData, package: Path
) -> None:
    origin = ThresholdOrigin(
        evaluation_id=f"{data.digest[:12]}-{opened.digest[:12]}",
        model_name=opened.name,
        model_version=opened.version,
        model_digest=opened.digest,
        data=f"val of {data.digest[:12]}",
        evaluated_at=datetime.now(UTC),
    )
    write_thresholds(validation, origin, package / FILE_NAME)


def _complete(
    trained: TrainedModel, data: TrainingData, settings: TrainSettings, figures: Mapping[str, float]
) -> None:
    """Write the package's metrics and, over all of its files, its manifest."""
    metrics: dict[str, Any] = {
        "figures": dict(figures),
        "best_epoch": trained.best_epoch,
        "training_s": round(trained.seconds, 1),
        "history": trained.history,
        "export_against_network": trained.agreement,
    }
    write_metrics(trained.package, metrics)
    facts = {
        "name": settings.model.name,
        "architecture": settings.model.architecture,
        "backbone": settings.model.backbone,
        "input_px": settings.model.input_px,
        "classes": data.labels.names,
        "data_digest": data.digest,
        "pictures": {split: len(examples) for split, examples in data.splits.items()},
    }
    write_manifest(trained.package, facts)
    if settings.export.folder is not None:
        copy_package(trained.package, settings.export.folder)


def _promote(
    settings: TrainSettings, data: TrainingData, experiment: Experiment, version: ModelVersion, tried: _Tried
) -> Promotion:
    """Compare with the champion on the pictures that were tried last, and move the alias if it is due."""
    champion, side = find_champion(experiment, version.name), None
    if champion is not None:
        other = _open(champion.uri, settings, registry_uri=experiment.registry_uri)
        side = SideResults(other.labels, _try(other, data, tried.split, settings).results)
    promotion = decide_promotion(
        settings.tracking,
        settings.fit.metric,
        LabelledTruth(data.labels, tried.truths),
        SideResults(data.labels, tried.results),
        side,
        random=np.random.default_rng(settings.fit.seed),
    )
    apply_promotion(experiment, version, promotion)
    return promotion
