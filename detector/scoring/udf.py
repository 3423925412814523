"""Detection on encoded bytes inside any query: an iterator pandas UDF, also as SQL's ``detect_objects``.

Owns the ad-hoc way. Same decoder, model handling and pipeline as the job; what can't be scored gives
null. For folders use the job: bytes in a column cross the JVM, paths don't.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pandas as pd
from pyspark.sql import Column, SparkSession
from pyspark.sql import types as t
from pyspark.sql.pandas.functions import pandas_udf

from detector.errors import EmptyMediaError
from detector.media.filesystem import build_access
from detector.models.detections import Detections
from detector.scoring.executors import create_worker
from detector.scoring.pipeline import LoadedFrame, run_pipeline
from detector.scoring.scorer import load_scorer
from detector.scoring.units import build_detections
from detector.scoring.worker import Worker
from detector.settings import MediaSettings, ModelSettings, RunSettings
from detector.tables.schemas import DETECTION

_ROWS_PER_BATCH = 64


def build_detect_objects(
    spark: SparkSession,
    settings: ModelSettings,
    *,
    media: MediaSettings | None = None,
    run: RunSettings | None = None,
) -> Callable[..., Column]:
    """Build the UDF: a column of encoded image bytes in, array<struct> of detections out.

    The struct is that of ``scores.frames.detections``: class_id, label, score, y_min, x_min, y_max, x_max
    (normalised to the upright image), best score first. Null where the bytes are no image. Raises
    ``ModelError`` when the model is refused. The model stays broadcast for as long as the session lives.
    """
    worker = create_worker(
        spark,
        load_scorer(settings),
        build_access([]),
        media=media or MediaSettings(),
        run=run or RunSettings(),
    )

    def detect(contents: Iterator[pd.Series]) -> Iterator[pd.Series]:
        yield from _detect_in_order(worker, chain.from_iterable(contents))

    # Spark reads the function's kind from its annotations: an iterator of series in, one out.
    udf: Any = pandas_udf(detect, returnType=t.ArrayType(DETECTION))  # type: ignore[call-overload]
    return udf  # type: ignore[no-any-return]


def register_detect_objects(
    spark: SparkSession, settings: ModelSettings, name: str = "detect_objects"
) -> None:
    """Register ``build_detect_objects`` as a SQL function: SELECT detect_objects(content) FROM ...."""
    spark.udf.register(name, build_detect_objects(spark, settings))


def _detect_in_order(worker: Worker, contents: Iterator[bytes | None]) -> Iterator[pd.Series]:
    load_source = worker.open_loader()
    predictor = worker.load_predictor()

    def load(unit: tuple[int, bytes | None]) -> Iterator[LoadedFrame]:
        if not unit[1]:
            raise EmptyMediaError("there are no bytes")
        yield from load_source(unit[1])

    outcomes = run_pipeline(
        enumerate(contents), load, predictor, threads=worker.count_threads(), queue_bytes=worker.queue_bytes
    )
    found: dict[
        int, Detections | None
    ] = {}  # the pipeline gives results as they get ready, Spark wants order
    done = 0
    for outcome in outcomes:
        found[outcome.unit[0]] = outcome.frames[0].detections if outcome.frames else None
        ready = 0
        while done + ready in found:
            ready += 1
        if ready >= _ROWS_PER_BATCH:
            yield _to_series([found.pop(done + row) for row in range(ready)], worker)
            done += ready
    if found:
        yield _to_series([found[row] for row in sorted(found)], worker)


def _to_series(found: list[Detections | None], worker: Worker) -> pd.Series:
    rows = iter(build_detections([one for one in found if one is not None], worker.labels).to_pylist())
    return pd.Series([None if one is None else next(rows) for one in found], dtype=object)
