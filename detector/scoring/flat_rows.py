"""Rows of ``detections`` without Spark: one result of the worker, its boxes flat.

Owns the columns that a batch service is given: those of ``detections``, and what became of the file. The same
arithmetic as ``detector.tables.detections``, in single precision as Spark does it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pyspark.sql import types as t

from detector.tables.schemas import DETECTIONS

_PANDAS_TYPES: dict[type[t.DataType], str] = {
    t.IntegerType: "Int32",
    t.FloatType: "Float32",
    t.DoubleType: "Float64",
    t.TimestampType: "datetime64[us, UTC]",
}
# In the table's order, with the type that holds a null without turning into another one.
COLUMNS: dict[str, str] = {
    column.name: _PANDAS_TYPES.get(type(column.type), "object") for column in DETECTIONS.columns
} | dict.fromkeys(("status", "error_class", "error_message"), "object")


def flatten_result(result: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give one row per box of a row of ``RESULT``, or a single one without a box where there are none.

    ``known`` holds the columns that the whole run shares; rows have any of ``COLUMNS``, the rest is null.
    """
    size = {"image_width_px": result["width_px"], "image_height_px": result["height_px"]}
    names = ("media_uri", "media_kind", "score_id", "status", "error_class", "error_message")
    shared = {**known, **{name: result[name] for name in names}, **size}
    found = False
    for frame in result["frames"] or ():
        place = {"frame_index": frame["frame_index"], "time_s": frame["time_s"]}
        for rank, box in enumerate(frame["detections"]):
            found = True
            identity = f"{result['score_id']}:{frame['frame_index']}:{rank}"
            yield shared | place | box | {"detection_id": identity} | _measure(box, size)
    if not found:
        yield shared


def _measure(box: Mapping[str, float], size: Mapping[str, int]) -> dict[str, np.float32]:
    y_min, x_min, y_max, x_max = (np.float32(box[edge]) for edge in ("y_min", "x_min", "y_max", "x_max"))
    width, height = np.float32(size["image_width_px"]), np.float32(size["image_height_px"])
    return {
        "x_px": x_min * width,
        "y_px": y_min * height,
        "width_px": (x_max - x_min) * width,
        "height_px": (y_max - y_min) * height,
    }
