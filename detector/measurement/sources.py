"""Where an evaluation's detections come from: a model that runs here, or the tables of a scoring run.

Owns both ways, to one result. Spark is started for a catalog's tables alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from detector.annotations.parallel import Progress
from detector.evaluation.results import ImageResult
from detector.measurement.evaluate_settings import EvaluatedModel, EvaluatedTables, EvaluateSettings
from detector.measurement.opening import open_model
from detector.measurement.predictions import try_images
from detector.measurement.recorded import (
    COLUMNS,
    ScoredBy,
    ScorerChoice,
    gather_recorded,
    read_scores,
)
from detector.media.filesystem import name_medium
from detector.models.predictor import start_tensorflow
from detector.redaction import make_safe


@dataclass(frozen=True)
class Detected:
    """Results by picture, why others have none, and the model; ``path`` is its files, None from tables."""

    results: list[ImageResult]
    failures: dict[str, str]
    model: ScoredBy
    path: Path | None
    source: str


def detect(settings: EvaluateSettings, paths_by_name: Mapping[str, Path], progress: Progress) -> Detected:
    """Detect on pictures, or read what was detected; raises what the two ways raise."""
    if settings.model is not None:
        return _run_model(settings.model, settings, paths_by_name, progress)
    if settings.tables is None:
        raise AssertionError("settings without model and tables were let through")
    return _read_tables(settings, settings.tables, paths_by_name)


def name_uris(paths_by_name: Mapping[str, Path], media_root: str | None) -> dict[str, str]:
    """Name pictures as ``media_uri`` does: their absolute paths, or their names below ``media_root``.

    >>> name_uris({"a/b.jpg": Path("/photos/a/b.jpg")}, "s3://bucket/photos/")
    {'a/b.jpg': 's3://bucket/photos/a/b.jpg'}
    """
    if media_root is None:
        return {name: name_medium(str(path)) for name, path in paths_by_name.items()}
    root = name_medium(media_root).rstrip("/")
    return {name: f"{root}/{name}" for name in paths_by_name}


def _run_model(
    model: EvaluatedModel, settings: EvaluateSettings, paths_by_name: Mapping[str, Path], progress: Progress
) -> Detected:
    start_tensorflow(threads=0, gpu=model.gpu)  # 0: TensorFlow counts the cores itself
    opened = open_model(model)
    found = try_images(
        opened.predictor,
        paths_by_name,
        max_pixels=settings.data.max_pixels,
        threads=settings.data.workers,
        progress=progress,
    )
    failures = {name: f"{error.error_class()}: {error}" for name, error in found.failures.items()}
    scorer = ScoredBy(opened.name, opened.version, opened.digest)
    return Detected(found.results, failures, scorer, opened.path, "the model, run by this job")


def _read_tables(
    settings: EvaluateSettings, tables: EvaluatedTables, paths_by_name: Mapping[str, Path]
) -> Detected:
    uris = name_uris(paths_by_name, tables.media_root)
    scores = _read_catalog(settings, tables, uris) if tables.root is None else read_scores(tables.root, uris)
    choice = ScorerChoice(tables.model_name, tables.model_version, tables.scorer_digest)
    found = gather_recorded(scores, uris, choice)
    place = make_safe(tables.root or tables.schema_, tables)
    return Detected(found.results, found.failures, found.scorer, None, f"the table scores of {place}")


def _read_catalog(settings: EvaluateSettings, tables: EvaluatedTables, uris: Mapping[str, str]) -> pa.Table:
    # A catalog's tables are known to Spark alone; imported here, since nothing else of this needs it.
    from detector.session import open_session
    from detector.tables.schemas import SCORES
    from detector.tables.store import open_store

    spark = open_session("detector evaluate", master=settings.spark.master, conf=settings.spark.conf)
    rows = open_store(spark, tables).read(SCORES).select(*COLUMNS)
    wanted = spark.createDataFrame(pa.table({"media_uri": list(uris.values())}))
    return rows.join(wanted, "media_uri", "left_semi").toArrow()
