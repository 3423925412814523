"""How units and their results travel between Spark and the worker as Arrow.

Owns both Arrow layouts. A unit is an image or a segment of a video; its result is the part of its
``scores`` row that only the worker knows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import types as t

from detector.errors import MediaError, TooManyPixelsError
from detector.labels import LabelMap
from detector.media.video.segments import Segment
from detector.models.detections import Detections
from detector.scoring.pipeline import MediaFacts, Outcome, ScoredFrame
from detector.scoring.unit import Unit
from detector.tables.schemas import DETECTION, FRAME

FILE = t.StructType(
    [
        t.StructField("media_uri", t.StringType()),
        t.StructField("media_kind", t.StringType()),
        t.StructField("size_bytes", t.LongType()),
        t.StructField("modified_at", t.TimestampType()),
        t.StructField("attempt", t.IntegerType()),
    ]
)
SEGMENT = t.StructType(
    [
        t.StructField("index", t.IntegerType()),
        t.StructField("count", t.IntegerType()),
        t.StructField("start_s", t.DoubleType()),
        t.StructField("end_s", t.DoubleType()),
        t.StructField("first_frame", t.IntegerType()),
        t.StructField("frames", t.IntegerType()),
        t.StructField("start_pts", t.LongType()),
        t.StructField("end_pts", t.LongType()),
        t.StructField("frames_expected", t.IntegerType()),
        t.StructField("has_pts", t.BooleanType()),
        t.StructField("damage", t.StringType()),
    ]
)
UNIT = t.StructType(
    [
        t.StructField("score_id", t.StringType()),
        *FILE.fields,
        t.StructField("segment", SEGMENT),
        t.StructField("width_px", t.IntegerType()),
        t.StructField("height_px", t.IntegerType()),
        t.StructField("error_class", t.StringType()),
        t.StructField("error_message", t.StringType()),
    ]
)
RESULT = t.StructType(
    [
        t.StructField("score_id", t.StringType()),
        *FILE.fields,
        t.StructField("segment_index", t.IntegerType()),
        t.StructField("segment_count", t.IntegerType()),
        t.StructField("segment_start_s", t.DoubleType()),
        t.StructField("segment_end_s", t.DoubleType()),
        t.StructField("content_sha256", t.StringType()),
        t.StructField("width_px", t.IntegerType()),
        t.StructField("height_px", t.IntegerType()),
        t.StructField("frames_expected", t.IntegerType()),
        t.StructField("frames_scored", t.IntegerType()),
        t.StructField("status", t.StringType()),
        t.StructField("error_class", t.StringType()),
        t.StructField("error_message", t.StringType()),
        t.StructField("frames", t.ArrayType(FRAME)),
        t.StructField("detection_count", t.IntegerType()),
    ]
)


def read_units(batches: Iterator[pa.RecordBatch]) -> Iterator[Unit]:
    """Read the units of plan batches, one column ``units`` of lists of ``UNIT`` structs."""
    for batch in batches:
        for row in batch.column("units").flatten().to_pylist():
            yield _read_unit(row)


def _read_unit(row: dict[str, Any]) -> Unit:
    width_px, height_px = row.pop("width_px"), row.pop("height_px")
    error_class, error_message = row.pop("error_class"), row.pop("error_message")
    segment = row.pop("segment")
    return Unit(
        **row,
        segment=None if segment is None else Segment(**segment),
        size_px=None if width_px is None else (width_px, height_px),
        refusal=None if error_class is None else (error_class, error_message),
    )


def build_result_batch(
    outcomes: Sequence[Outcome[Unit]], labels: LabelMap, schema: pa.Schema
) -> pa.RecordBatch:
    """Lay outcomes out as Arrow rows of ``RESULT``, one row per outcome, in order.

    A unit is ``scored`` when it has no error, or when it is a video damaged for good that gave at least one
    frame; then its error_class says DamagedVideo. All others are ``failed`` and keep no frames: either there
    are none, or a later try may give them all.
    """
    rows = [_describe(outcome) for outcome in outcomes]
    columns = {name: [row[name] for row in rows] for name in RESULT.names if name != "frames"}
    arrays = {name: pa.array(column, schema.field(name).type) for name, column in columns.items()}
    found = [
        outcome.frames if row["status"] == "scored" else None
        for outcome, row in zip(outcomes, rows, strict=True)
    ]
    arrays["frames"] = build_frames(found, labels).cast(schema.field("frames").type)
    return pa.RecordBatch.from_arrays([arrays[name] for name in RESULT.names], schema=schema)


def _describe(outcome: Outcome[Unit]) -> dict[str, Any]:
    unit, error, segment = outcome.unit, outcome.error, outcome.unit.segment
    keeps = error is None or (unit.media_kind == "video" and error.permanent and bool(outcome.frames))
    facts = outcome.facts or _facts_of(unit, error)
    frames = outcome.frames if keeps else []
    return {
        **{name: getattr(unit, name) for name in ("score_id", *FILE.names)},
        "segment_index": 0 if segment is None else segment.index,
        "segment_count": 1 if segment is None else segment.count,
        "segment_start_s": segment and segment.start_s,
        "segment_end_s": segment and segment.end_s,
        "content_sha256": facts and facts.content_sha256,
        "width_px": facts and facts.width_px,
        "height_px": facts and facts.height_px,
        "frames_expected": _count_expected(outcome),
        "frames_scored": len(frames),
        "status": "scored" if keeps else "failed",
        "error_class": error and error.error_class(),
        "error_message": error and str(error),
        "detection_count": sum(len(frame.detections.scores) for frame in frames),
    }


def _count_expected(outcome: Outcome[Unit]) -> int | None:
    unit = outcome.unit
    if unit.media_kind == "image":
        return 1
    if unit.segment is None:
        return None
    # Only decoding tells which frames begin a scene.
    scenes = len(outcome.frames) if outcome.error is None else None
    return scenes if unit.segment.frames_expected is None else unit.segment.frames_expected


def build_frames(found: Sequence[Sequence[ScoredFrame] | None], labels: LabelMap) -> pa.Array:
    """Build the ``frames`` column: a list of ``FRAME`` for each element of ``found``, null for a None."""
    flat = [frame for frames in found for frame in frames or ()]
    frames = pa.StructArray.from_arrays(
        [
            pa.array([frame.frame_index for frame in flat], pa.int32()),
            pa.array([frame.time_s for frame in flat], pa.float64()),
            build_detections([frame.detections for frame in flat], labels),
        ],
        names=FRAME.names,
    )
    missing = np.array([one is None for one in found], bool)
    offsets = np.concatenate([[0], np.cumsum([len(one or ()) for one in found])]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), frames, mask=pa.array(missing))


def build_detections(found: Sequence[Detections], labels: LabelMap) -> pa.Array:
    """Build a list<DETECTION> array, one list per element of ``found``, best score first."""
    counts = [len(detections.scores) for detections in found]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(d.boxes_yxyx_norm for d in found)])
    scores = np.concatenate([np.zeros(0, np.float32), *(d.scores for d in found)])
    class_ids = np.concatenate([np.zeros(0, np.int32), *(d.class_ids for d in found)])
    known, positions = np.unique(class_ids, return_inverse=True)
    names = pa.array([labels.name_of(int(class_id)) for class_id in known], pa.string())
    columns = [
        pa.array(class_ids.astype(np.int32)),
        names.take(pa.array(positions)),
        pa.array(scores.astype(np.float32)),
        *(pa.array(np.ascontiguousarray(boxes[:, edge], np.float32)) for edge in range(4)),
    ]
    values = pa.StructArray.from_arrays(columns, names=DETECTION.names)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _facts_of(unit: Unit, error: MediaError | None) -> MediaFacts | None:
    if unit.size_px is not None:
        return MediaFacts(*unit.size_px, None)
    if isinstance(error, TooManyPixelsError) and error.width_px and error.height_px:
        return MediaFacts(error.width_px, error.height_px, None)
    return None
