"""What jobs/evaluate.py does: labelled pictures and detections to figures, files and table rows.

Owns the order: what is cheap to refuse is refused before a model runs. Refuses to print: what there is to say
is returned.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from detector.annotations.dataset import Annotation, Dataset
from detector.annotations.parallel import Progress
from detector.annotations.reading import read_dataset
from detector.annotations.split_manifest import read_split_manifest
from detector.errors import EvaluationError, SettingsError
from detector.evaluation.assessment import assess_detections
from detector.evaluation.report import EvaluationReport
from detector.evaluation.truth import ImageTruth
from detector.labels import read_label_map
from detector.measurement.evaluate_settings import EvaluateSettings
from detector.measurement.hierarchy_file import read_parents
from detector.measurement.measurement import Measurement, Subject, choose_pictures, find_lowest_score
from detector.measurement.sources import Detected, detect
from detector.measurement.thresholds import (
    ThresholdOrigin,
    list_rows,
    place_beside,
    read_thresholds,
    write_thresholds,
)
from detector.measurement.truths import (
    build_truths,
    count_unknown,
    map_names,
    refuse_unknown,
    select_annotations,
    select_split,
)
from detector.media.filesystem import name_medium

Watch = Callable[[str], Progress]  # names what is being done; is told how far it is


def evaluate(settings: EvaluateSettings, watch: Watch) -> Measurement:
    """Measure a model on labelled pictures; write the figures and thresholds that are wanted.

    Raises ``SettingsError``, ``ModelError`` and ``EvaluationError`` before anything is written.
    """
    names = _read_labels(settings)
    ids = map_names(names)
    dataset, broken = _read_pictures(settings, watch)
    annotations = _select(settings, dataset)
    left_out = count_unknown(annotations, ids)
    if settings.data.unknown_labels == "refuse":
        refuse_unknown(left_out, ids)
    images = [annotation.image.as_posix() for annotation in annotations if annotation.image is not None]
    detected = detect(settings, {image: dataset.root / image for image in images}, watch("pictures"))
    _refuse_failures(settings, detected.failures, len(images))
    truths = build_truths(
        dataset,
        ids,
        [image for image in images if image not in detected.failures],
        cluster_iou=settings.data.cluster_iou,
        ignore_unknown=True,
        workers=settings.data.workers,
    )
    report = _assess(settings, truths, detected, names)
    measurement = Measurement(
        report,
        _name_subject(settings, detected),
        datetime.now(UTC),
        choose_pictures(report, truths, detected.results, dataset.root, most=settings.pictures),
        names,
        left_out,
        broken | detected.failures,
        find_lowest_score(detected.results),
    )
    _write(settings, measurement, detected.path)
    return measurement


def _read_labels(settings: EvaluateSettings) -> Mapping[int, str]:
    if settings.model is not None:
        labels = None if settings.model.labels is None else Path(settings.model.labels)
    else:
        labels = None if settings.tables is None else settings.tables.labels
    if labels is None:
        raise SettingsError("model.labels is missing: labelled pictures are compared with classes by name")
    return read_label_map(labels).names


def _read_pictures(settings: EvaluateSettings, watch: Watch) -> tuple[Dataset, dict[str, str]]:
    data = settings.data
    dataset, problems = read_dataset(
        data.root,
        format=data.format,
        images=data.images,
        annotations=data.annotations,
        workers=data.workers,
        progress=watch("annotations"),
    )
    broken = {problem.file: problem.message for problem in problems if problem.severity == "error"}
    if broken and data.unreadable == "refuse":
        file, message = next(iter(broken.items()))
        raise EvaluationError(
            f"{len(broken)} annotation files can't be used, the first is {file}: {message}. Mend them (run "
            "jobs/dataset.py check), or set data.unreadable to leave_out"
        )
    return dataset, broken


def _select(settings: EvaluateSettings, dataset: Dataset) -> list[Annotation]:
    data = settings.data
    wanted: Collection[str] | None = None
    if data.split is not None:
        wanted = select_split(read_split_manifest(data.split), data.split_name)
        if data.unreadable == "leave_out":
            there = {str(annotation.image) for annotation in dataset.annotations}
            wanted = [image for image in wanted if image in there]
    return select_annotations(dataset, wanted, unannotated_is_background=data.background)


def _refuse_failures(settings: EvaluateSettings, failures: Mapping[str, str], total: int) -> None:
    if failures and (settings.data.unreadable == "refuse" or len(failures) == total):
        name, why = next(iter(failures.items()))
        raise EvaluationError(
            f"{len(failures)} of {total} pictures can't be used, the first is {name} ({why}): mend them, or "
            "set data.unreadable to leave_out"
        )


def _assess(
    settings: EvaluateSettings, truths: list[ImageTruth], detected: Detected, names: Mapping[int, str]
) -> EvaluationReport:
    chosen = settings.evaluation
    thresholds: float | Mapping[int, float] | None = chosen.score_threshold
    if chosen.thresholds is not None:
        thresholds = read_thresholds(chosen.thresholds, model_digest=detected.model.digest)
    return assess_detections(
        truths,
        detected.results,
        labels=names,
        random=np.random.default_rng(chosen.seed),
        iou_threshold=chosen.iou_threshold,
        score_thresholds=thresholds,
        parents=None if chosen.hierarchy is None else read_parents(chosen.hierarchy, map_names(names)),
        resamples=chosen.resamples,
        confidence=chosen.confidence,
    )


def _name_subject(settings: EvaluateSettings, detected: Detected) -> Subject:
    data = settings.data
    split = "" if data.split is None else f", {data.split_name} of {data.split}"
    model = detected.model
    return Subject(
        model.name, model.version, model.digest, f"{name_medium(str(data.root))}{split}", detected.source
    )


def _write(settings: EvaluateSettings, measurement: Measurement, model: Path | None) -> None:
    if settings.out is not None:
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        settings.out.write_text(measurement.to_json(), encoding="utf-8")
    if settings.write_thresholds:
        origin = _name_origin(measurement)
        if model is not None:
            write_thresholds(measurement.report, origin, place_beside(model))
        if settings.tables is not None:
            _append_thresholds(settings, measurement, origin)


def _name_origin(measurement: Measurement) -> ThresholdOrigin:
    subject, now = measurement.subject, measurement.evaluated_at
    return ThresholdOrigin(
        f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        subject.model_name,
        subject.model_version,
        subject.model_digest,
        subject.data,
        now,
    )


def _append_thresholds(settings: EvaluateSettings, measurement: Measurement, origin: ThresholdOrigin) -> None:
    # Imported here: without tables to write to, an evaluation starts no Spark.
    from detector.session import open_session
    from detector.tables.schemas import THRESHOLDS
    from detector.tables.store import open_store

    if settings.tables is None:
        raise AssertionError("asked to write to tables that were not given")
    rows = [
        tuple(row[name] for name in THRESHOLDS.column_names) for row in list_rows(measurement.report, origin)
    ]
    spark = open_session("detector evaluate", master=settings.spark.master, conf=settings.spark.conf)
    store = open_store(spark, settings.tables)
    store.append_thresholds(spark.createDataFrame(rows, THRESHOLDS.schema))
