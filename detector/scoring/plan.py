"""What a run has to do: the listing against what the tables hold, frozen before the first picture.

Owns the key of a unit, the decision for each listed file, and the cut into tasks. Decision 5 of the
architecture: a file is scored when its size, time and scorer are new, whatever its age or name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql import types as t

from detector.errors import MediaError
from detector.scoring.units import UNIT

_SCORE, _RECORD = "score", "record"  # what is done with a file; null: nothing, its row is there or must wait
_KEY = ("media_uri", "size_bytes", "modified_at")
_WAITING = "too_young"


@dataclass(frozen=True)
class Plan:
    """A run's frozen plan.

    ``units``: Arrow table of ``UNIT`` columns, largest first. ``recorded``: files to write as skipped
    rows, ``UNIT`` columns and skip_reason. ``skipped_reasons``: how many files are left out for which reason.
    """

    listed: int
    units: pa.Table
    recorded: pa.Table
    skipped_reasons: dict[str, int]


def make_plan(
    spark: SparkSession,
    listed: pa.Table,
    scores: DataFrame,
    *,
    scorer_digest: str,
    rescore: bool,
    max_pixels: int,
) -> Plan:
    """Decide for every listed file; runs one job over the listing and this scorer's rows of ``scores``.

    ``listed`` has media_uri, size_bytes, modified_at and skip_reason (null: a candidate), one row per
    file. A candidate is scored when this scorer has no row of this version, when its last try failed for
    a reason that may pass (or by a ``max_pixels`` since raised), when it was only skipped so far, or when
    ``rescore`` says so.
    """
    decided = _decide(_to_frame(spark, listed), _read_last_tries(scores, scorer_digest), rescore, max_pixels)
    decided = decided.withColumn("score_id", _score_id(scorer_digest)).persist()
    try:
        reasons = decided.where("reason IS NOT NULL").groupBy("reason").count().collect()
        work = decided.where(sf.col("action").isNotNull())
        units = work.where(sf.col("action") == _SCORE).select(*UNIT.names).toArrow()
        recorded = work.where(sf.col("action") == _RECORD).select(*UNIT.names, "reason").toArrow()
    finally:
        decided.unpersist()
    largest_first = units.sort_by([("size_bytes", "descending"), ("media_uri", "ascending")])
    return Plan(listed.num_rows, largest_first, recorded, {row["reason"]: row["count"] for row in reasons})


def cut_into_tasks(units: pa.Table, task_units: int, slots: int) -> Iterator[pa.Table]:
    """Cut units into tasks of at most ``task_units``, dealt out evenly, each task's units from all sizes.

    A task count that is a multiple of ``slots``, where there are enough units, leaves no core idle.
    """
    tasks = max(1, -(-units.num_rows // task_units))
    tasks = min(units.num_rows, -(-tasks // slots) * slots)
    for task in range(tasks):
        yield units.take(pa.array(np.arange(task, units.num_rows, tasks)))


def _to_frame(spark: SparkSession, listed: pa.Table) -> DataFrame:
    schema = t.StructType(
        [
            t.StructField("media_uri", t.StringType()),
            t.StructField("size_bytes", t.LongType()),
            t.StructField("modified_at", t.TimestampType()),
            t.StructField("skip_reason", t.StringType()),
        ]
    )
    return spark.createDataFrame(listed.select(schema.names), schema=schema)


def _read_last_tries(scores: DataFrame, scorer_digest: str) -> DataFrame:
    last = sf.max_by(sf.struct("status", "error_class", "width_px", "height_px"), "attempt")
    return (
        scores.where((sf.col("scorer_digest") == scorer_digest) & (sf.col("segment_index") == 0))
        .groupBy(*_KEY)
        .agg(last.alias("last"), (sf.max("attempt") + 1).alias("tries"))
    )


def _decide(listed: DataFrame, last_tries: DataFrame, rescore: bool, max_pixels: int) -> DataFrame:
    same = reduce(Column.__and__, (listed[key].eqNullSafe(last_tries[key]) for key in _KEY))
    joined = listed.join(last_tries, same, "left").select(listed["*"], "last", "tries")
    status, error_class = sf.col("last.status"), sf.col("last.error_class")
    pixels = sf.col("last.width_px").cast("long") * sf.col("last.height_px")
    passing = ~error_class.isin(_permanent_classes()) | (
        (error_class == "TooManyPixels") & (pixels <= max_pixels)
    )
    candidate = sf.col("skip_reason").isNull()
    again = sf.lit(rescore) | status.isNull() | (status == "skipped") | ((status == "failed") & passing)
    recorded = status.eqNullSafe("skipped") & error_class.eqNullSafe(sf.col("skip_reason"))
    reason = (
        sf.when(~candidate, sf.col("skip_reason"))
        .when(~again & (status == "failed"), sf.lit("already_failed"))
        .when(~again, sf.lit("already_scored"))
    )
    action = sf.when(candidate & again, sf.lit(_SCORE)).when(
        ~candidate & (sf.col("skip_reason") != _WAITING) & ~recorded, sf.lit(_RECORD)
    )
    return joined.select(
        *_KEY,
        sf.coalesce("tries", sf.lit(0)).cast("int").alias("attempt"),
        reason.alias("reason"),
        action.alias("action"),
    )


def _score_id(scorer_digest: str) -> Column:
    parts: list[Any] = [
        sf.col("media_uri"),
        sf.coalesce(sf.col("size_bytes").cast("string"), sf.lit("")),
        sf.coalesce(sf.unix_micros("modified_at").cast("string"), sf.lit("")),
        sf.lit("0"),  # segment_index
        sf.lit(scorer_digest),
        sf.col("attempt").cast("string"),
    ]
    return sf.sha2(sf.concat_ws("\n", *parts), 256)


def _permanent_classes() -> list[str]:
    pending, found = [MediaError], []
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        if error is not MediaError and error.permanent:
            found.append(error.error_class())
    return sorted(found)
