"""How a row of ``scores`` becomes rows of ``detections``.

Owns that mapping alone; where it runs (a stream, a backfill) is the store's matter.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from detector.tables.schemas import DETECTIONS


def flatten_scores(scores: DataFrame) -> DataFrame:
    """Give one row per box: schema of ``SCORES`` in, of ``DETECTIONS`` out; no action runs, streams welcome.

    The box in pixels is the normalised one times the upright picture's size.
    """
    frames = scores.select("*", sf.inline("frames"))
    boxes = frames.select("*", sf.posexplode("detections").alias("rank", "box"))
    width, height = sf.col("image_width_px"), sf.col("image_height_px")
    return (
        boxes.withColumnsRenamed({"width_px": "image_width_px", "height_px": "image_height_px"})
        .select("*", "box.*")
        .withColumns(
            {
                "detection_id": sf.concat_ws(":", "score_id", "frame_index", "rank"),
                "x_px": _pixels("x_min", width),
                "y_px": _pixels("y_min", height),
                "width_px": _pixels(sf.col("x_max") - sf.col("x_min"), width),
                "height_px": _pixels(sf.col("y_max") - sf.col("y_min"), height),
            }
        )
        .select(*DETECTIONS.column_names)
    )


def _pixels(fraction: Column | str, size_px: Column) -> Column:
    return ((sf.col(fraction) if isinstance(fraction, str) else fraction) * size_px).cast("float")
