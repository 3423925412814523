"""A unit of work, and how units and their results travel between Spark and the worker as Arrow.

Owns both Arrow layouts. A unit is an image (or, later in the plan's columns, a segment of a video); its
result is the part of its ``scores`` row that only the worker knows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import types as t

from detector.errors import MediaError, TooManyPixelsError
from detector.labels import LabelMap
from detector.models.detections import Detections
from detector.scoring.pipeline import ImageFacts, Outcome
from detector.tables.schemas import DETECTION, FRAME


@dataclass(frozen=True)
class Unit:
    """One thing to score: the file as it was listed, and the key its row gets."""

    score_id: str
    media_uri: str
    size_bytes: int | None
    modified_at: datetime | None
    attempt: int


UNIT = t.StructType(
    [
        t.StructField("score_id", t.StringType()),
        t.StructField("media_uri", t.StringType()),
        t.StructField("size_bytes", t.LongType()),
        t.StructField("modified_at", t.TimestampType()),
        t.StructField("attempt", t.IntegerType()),
    ]
)
RESULT = t.StructType(
    [
        *UNIT.fields,
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
        for unit in batch.column("units").flatten().to_pylist():
            yield Unit(**unit)


def build_result_batch(
    outcomes: Sequence[Outcome[Unit]], labels: LabelMap, schema: pa.Schema
) -> pa.RecordBatch:
    """Lay outcomes out as Arrow rows of ``RESULT``, one row per outcome, in order."""
    found = [outcome.detections for outcome in outcomes]
    units = [outcome.unit for outcome in outcomes]
    errors = [outcome.error for outcome in outcomes]
    facts = [outcome.facts or _facts_of(outcome.error) for outcome in outcomes]
    columns = {
        "score_id": [unit.score_id for unit in units],
        "media_uri": [unit.media_uri for unit in units],
        "size_bytes": [unit.size_bytes for unit in units],
        "modified_at": [unit.modified_at for unit in units],
        "attempt": [unit.attempt for unit in units],
        "content_sha256": [fact and fact.content_sha256 for fact in facts],
        "width_px": [fact and fact.width_px for fact in facts],
        "height_px": [fact and fact.height_px for fact in facts],
        "frames_expected": [1] * len(units),
        "frames_scored": [int(error is None) for error in errors],
        "status": ["scored" if error is None else "failed" for error in errors],
        "error_class": [error and error.error_class() for error in errors],
        "error_message": [error and str(error) for error in errors],
        "frames": build_frames(found, labels),
        "detection_count": [0 if detections is None else len(detections.scores) for detections in found],
    }
    arrays = [
        column.cast(schema.field(name).type)
        if isinstance(column, pa.Array)
        else pa.array(column, schema.field(name).type)
        for name, column in columns.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def build_frames(found: Sequence[Detections | None], labels: LabelMap) -> pa.Array:
    """Build the ``frames`` column for images: one frame with index 0 and no time, or null for a failure."""
    detections = build_detections([one for one in found if one is not None], labels)
    count = len(detections)
    frames = pa.StructArray.from_arrays(
        [pa.array(np.zeros(count, np.int32)), pa.nulls(count, pa.float64()), detections],
        names=FRAME.names,
    )
    scored = np.array([one is not None for one in found], bool)
    offsets = np.concatenate([[0], np.cumsum(scored)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), frames, mask=pa.array(~scored))


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


def _facts_of(error: MediaError | None) -> ImageFacts | None:
    if isinstance(error, TooManyPixelsError) and error.width_px and error.height_px:
        return ImageFacts(error.width_px, error.height_px, None)
    return None
