"""What a run has to do: the listing against what the tables hold, frozen before the first picture.

Owns the key of a unit and the decision for each listed file. Decision 5 of the architecture: a file is
scored when its size, time and scorer are new, whatever its age or name.
"""

import re
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql import types as t

from detector.errors import list_media_errors
from detector.scoring.segmentation import Segmenter, cut_videos
from detector.scoring.units import FILE, UNIT
from detector.settings import VIDEO_PATTERNS

_KEY = ("media_uri", "size_bytes", "modified_at")
_WAITING = "too_young"
_VIDEO_NAME = "(?i)\\.(" + "|".join(pattern.removeprefix("*.") for pattern in VIDEO_PATTERNS) + ")$"


def is_video(media_uri: str) -> bool:
    """Tell by its name whether a file is scored as a video.

    >>> is_video("/photos/clip.MP4"), is_video("/photos/mp4.jpg")
    (True, False)
    """
    return re.search(_VIDEO_NAME, media_uri) is not None


@dataclass(frozen=True)
class Digests:
    """The scorer's names: for images, and for videos, whose rows depend on the sampling too."""

    image: str
    video: str


@dataclass(frozen=True)
class Plan:
    """A run's frozen plan.

    ``units``: Arrow table of ``UNIT`` columns. ``recorded``: files to write as skipped rows, score_id,
    ``FILE`` columns and reason; the reason is part of the key, as another run may score the file.
    ``skipped_reasons``: how many files are left out for which reason.
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
    digests: Digests,
    rescore: bool,
    segmenter: Segmenter,
    slots: int,
) -> Plan:
    """Decide for every listed file, and index the videos to be scored on the executors.

    Runs a job over the listing and this scorer's rows of ``scores``, and one over the new videos if there
    are any. ``listed`` has media_uri, size_bytes, modified_at and skip_reason (null: a candidate), one row
    per file. A candidate is scored when this scorer has no row of this version, when its last try failed
    for a reason that may pass (or by a ``media.max_pixels`` since raised), when it was only skipped so far,
    when segments of it are missing, or when ``rescore`` says so.
    """
    last_tries = _read_last_tries(scores, digests, segmenter.media.max_pixels)
    decided = _decide(_to_frame(spark, listed, digests), last_tries, rescore).persist()
    try:
        reasons = decided.where("reason IS NOT NULL").groupBy("reason").count().collect()
        work = decided.where("to_score")
        images = work.where("media_kind = 'image'").select("*", *_empty_columns())
        units = images.select(_score_id().alias("score_id"), *UNIT.names[1:]).toArrow()
        videos = work.where("media_kind = 'video'")
        if count := videos.count():
            cut = _plan_segments(videos, count, segmenter, slots)
            units = pa.concat_tables([units, cut.cast(units.schema)])
        recorded = decided.where("to_record").select("*", *_empty_columns())
        recorded_rows = recorded.select(
            _score_id("reason").alias("score_id"), *FILE.names, "reason"
        ).toArrow()
    finally:
        decided.unpersist()
    reasons_count = {row["reason"]: row["count"] for row in reasons}
    return Plan(listed.num_rows, units.sort_by("score_id"), recorded_rows, reasons_count)


def _to_frame(spark: SparkSession, listed: pa.Table, digests: Digests) -> DataFrame:
    schema = t.StructType(
        [
            t.StructField("media_uri", t.StringType()),
            t.StructField("size_bytes", t.LongType()),
            t.StructField("modified_at", t.TimestampType()),
            t.StructField("skip_reason", t.StringType()),
        ]
    )
    is_video = sf.col("media_uri").rlike(_VIDEO_NAME)
    return spark.createDataFrame(listed.select(schema.names), schema=schema).withColumns(
        {
            "media_kind": sf.when(is_video, "video").otherwise("image"),
            "scorer_digest": sf.when(is_video, digests.video).otherwise(digests.image),
        }
    )


def _read_last_tries(scores: DataFrame, digests: Digests, max_pixels: int) -> DataFrame:
    """Give a row per version and scorer: its tries, and the segments that need no other."""
    # Tables of an older version may lack attempts: what has none is the first.
    scores = scores.withColumn("attempt", sf.coalesce("attempt", sf.lit(0)))
    # Of two runs at once, one may have left out what the other scored.
    order = sf.struct("attempt", sf.col("status") != "skipped")
    last = sf.max_by(sf.struct("status", "error_class", "width_px", "height_px", "segment_count"), order)
    status, error_class = sf.col("last.status"), sf.col("last.error_class")
    scored, failed, skipped = (status == word for word in ("scored", "failed", "skipped"))
    pixels = sf.col("last.width_px").cast("long") * sf.col("last.height_px")
    permanent = [error.error_class() for error in list_media_errors() if error.permanent]
    passing = ~sf.coalesce(error_class.isin(permanent), sf.lit(False)) | (
        (error_class == "TooManyPixels") & sf.coalesce(pixels <= max_pixels, sf.lit(False))
    )
    settled = scored | (failed & ~passing)
    per_segment = (
        scores.where(sf.col("scorer_digest").isin(digests.image, digests.video))
        .groupBy(*_KEY, "scorer_digest", "segment_index")
        .agg(last.alias("last"), sf.max("attempt").alias("attempt"))
    )
    return per_segment.groupBy(*_KEY, "scorer_digest").agg(
        sf.max("attempt").alias("last_attempt"),
        sf.coalesce(sf.max_by("last.segment_count", "attempt"), sf.lit(1)).alias("segments"),
        sf.collect_list(sf.when(settled, sf.col("segment_index"))).alias("settled"),
        sf.bool_or(skipped | (failed & passing)).alias("retry"),
        sf.bool_or(failed).alias("has_failed"),
        sf.max(sf.when(skipped, error_class)).alias("was_skipped_for"),
    )


def _decide(listed: DataFrame, last_tries: DataFrame, rescore: bool) -> DataFrame:
    on = (*_KEY, "scorer_digest")
    same = reduce(Column.__and__, (listed[key].eqNullSafe(last_tries[key]) for key in on))
    joined = listed.join(last_tries, same, "left").select(
        listed["*"], *(name for name in last_tries.columns if name not in on)
    )
    candidate = sf.col("skip_reason").isNull()
    is_new = sf.col("last_attempt").isNull()
    again = sf.lit(rescore) | is_new | sf.col("retry") | (sf.size("settled") < sf.col("segments"))
    reason = (
        sf.when(~candidate, sf.col("skip_reason"))
        .when(~again & sf.col("has_failed"), sf.lit("already_failed"))
        .when(~again, sf.lit("already_scored"))
    )
    recorded = sf.col("was_skipped_for").eqNullSafe(sf.col("skip_reason"))
    to_record = ~candidate & (sf.col("skip_reason") != _WAITING) & ~recorded
    # Segments that a killed run has not reached belong to the attempt that it began.
    another = sf.when(sf.lit(rescore) | sf.col("retry") | ~candidate, 1).otherwise(0)
    return joined.select(
        *_KEY,
        "media_kind",
        "scorer_digest",
        sf.when(is_new, 0).otherwise(sf.col("last_attempt") + another).cast("int").alias("attempt"),
        sf.when(sf.lit(rescore) | is_new, sf.array().cast("array<int>"))
        .otherwise(sf.col("settled"))
        .alias("settled"),
        reason.alias("reason"),
        (candidate & again).alias("to_score"),
        to_record.alias("to_record"),
    )


def _plan_segments(videos: DataFrame, count: int, segmenter: Segmenter, slots: int) -> pa.Table:
    cut = cut_videos(videos, count, segmenter, slots)
    known = videos.select("media_uri", "settled", "scorer_digest")
    refused = sf.col("error_class").isNotNull()
    done = sf.array_contains("settled", sf.col("segment.index"))
    # What can't be indexed any more must not take the key of a segment that was scored before.
    attempt = sf.col("attempt") + sf.when(refused & (sf.size("settled") > 0), 1).otherwise(0)
    return (
        cut.join(sf.broadcast(known), "media_uri", "inner")
        .where(refused | ~done)
        .withColumn("attempt", attempt)
        .select(_score_id().alias("score_id"), *UNIT.names[1:])
        .toArrow()
    )


def _empty_columns() -> list[Column]:
    return [
        sf.lit(None).cast(f.dataType).alias(f.name) for f in UNIT if f.name not in {"score_id", *FILE.names}
    ]


def _score_id(*more: str) -> Column:
    parts: list[Any] = [
        sf.col("media_uri"),
        sf.coalesce(sf.col("size_bytes").cast("string"), sf.lit("")),
        sf.coalesce(sf.unix_micros("modified_at").cast("string"), sf.lit("")),
        sf.coalesce(sf.col("segment.index"), sf.lit(0)).cast("string"),
        sf.col("scorer_digest"),
        sf.col("attempt").cast("string"),
        *map(sf.col, more),
    ]
    return sf.sha2(sf.concat_ws("\n", *parts), 256)
