"""From the best package to a released model: thresholds, the final figures, the registry, the champion.

Owns the order of these steps and which pictures each may see: thresholds come from validation, the final
figures from the test split, which nothing before has looked at.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from detector.evaluation.assessment import assess_detections
from detector.evaluation.report import EvaluationReport
from detector.evaluation.results import ImageResult
from detector.evaluation.truth import ImageTruth
from detector.measurement.opening import OpenedModel, open_model
from detector.measurement.predictions import predict_images
from detector.measurement.thresholds import ThresholdOrigin, write_thresholds
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
from detector.training.export.package import LABEL_MAP, write_manifest, write_metrics
from detector.training.input.examples import TrainingData
from detector.training.train_settings import TrainSettings
from detector.training.training_run import TrainedModel, build_split_truths

_THRESHOLDS = "thresholds.json"


@dataclass(frozen=True)
class Release:
    """What became of the best model.

    ``validation`` and ``test`` are reports at the thresholds that validation chose; ``test`` is None where
    the split has no pictures. ``version`` is the registry's.
    """

    package: Path
    validation: EvaluationReport
    test: EvaluationReport | None
    version: ModelVersion
    promotion: Promotion


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
    opened = _open(trained.package, settings)
    validation, _ = _measure(opened, data, "val", settings, None)
    thresholds = {c.class_id: c.threshold.threshold for c in validation.classes if c.threshold is not None}
    test, results = None, None
    if data.splits["test"]:
        test, results = _measure(opened, data, "test", settings, thresholds)
    _complete(trained, opened, data, settings, validation, test)
    figures = {f"test/{name}": value for name, value in list_figures(test).items()}
    figures |= {f"val/{name}": value for name, value in list_figures(validation).items()}
    run.log_metrics(figures)
    name = settings.tracking.register_as or settings.model.name
    version = register_package(run, trained.package, name, metrics=figures, data_digest=data.digest)
    promotion = _promote(settings, data, experiment, version, opened, results)
    return Release(trained.package, validation, test, version, promotion)


def list_figures(report: EvaluationReport | None) -> dict[str, float]:
    """List a report's figures that are known, by short names: COCO's, VOC's and Open Images'."""
    if report is None:
        return {}
    figures = asdict(report.coco) | {"voc_ap50": report.voc.ap, "open_images_ap": report.open_images_ap}
    figures |= {f"ap50/{row.label}": row.coco.ap50 for row in report.classes}
    return {name: float(value) for name, value in figures.items() if value is not None}


def _open(package: Path, settings: TrainSettings) -> OpenedModel:
    return open_model(
        ModelSettings(
            uri=str(package),
            labels=str(package / LABEL_MAP),
            name=settings.model.name,
            min_score=settings.export.min_score,
        )
    )


def _measure(
    opened: OpenedModel,
    data: TrainingData,
    split: str,
    settings: TrainSettings,
    thresholds: dict[int, float] | None,
) -> tuple[EvaluationReport, tuple[list[ImageTruth], list[ImageResult]]]:
    truths = build_split_truths(data, split, settings)
    results = _predict(opened, data, split, settings)
    report = assess_detections(
        truths,
        results,
        labels=data.labels.names,
        random=np.random.default_rng(settings.fit.seed),
        score_thresholds=thresholds,
        resamples=settings.tracking.resamples,
        confidence=settings.tracking.confidence,
    )
    return report, (truths, results)


def _predict(
    opened: OpenedModel, data: TrainingData, split: str, settings: TrainSettings
) -> list[ImageResult]:
    paths = {example.name: example.path for example in data.splits[split]}
    return predict_images(
        opened.predictor, paths, max_pixels=settings.data.max_pixels, threads=settings.data.workers
    )


def _complete(
    trained: TrainedModel,
    opened: OpenedModel,
    data: TrainingData,
    settings: TrainSettings,
    validation: EvaluationReport,
    test: EvaluationReport | None,
) -> None:
    origin = ThresholdOrigin(
        evaluation_id=f"{data.digest[:12]}-{opened.digest[:12]}",
        model_name=opened.name,
        model_version=opened.version,
        model_digest=opened.digest,
        data=f"val of {data.digest[:12]}",
        evaluated_at=datetime.now(UTC),
    )
    write_thresholds(validation, origin, trained.package / _THRESHOLDS)
    metrics: dict[str, Any] = {
        "val": list_figures(validation),
        "test": list_figures(test),
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


def _promote(
    settings: TrainSettings,
    data: TrainingData,
    experiment: Experiment,
    version: ModelVersion,
    opened: OpenedModel,
    tested: tuple[Sequence[ImageTruth], Sequence[ImageResult]] | None,
) -> Promotion:
    champion, side = find_champion(experiment, version.name), None
    split = "test" if tested is not None else "val"
    if tested is None:
        tested = build_split_truths(data, split, settings), _predict(opened, data, split, settings)
    if champion is not None:
        model = ModelSettings(
            uri=champion.uri, registry_uri=experiment.registry_uri, min_score=settings.export.min_score
        )
        other = open_model(model)
        side = SideResults(other.labels, _predict(other, data, split, settings))
    promotion = decide_promotion(
        settings.tracking,
        settings.fit.metric,
        LabelledTruth(data.labels, tested[0]),
        SideResults(data.labels, tested[1]),
        side,
        random=np.random.default_rng(settings.fit.seed),
    )
    apply_promotion(experiment, version, promotion)
    return promotion
