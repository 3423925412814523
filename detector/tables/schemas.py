"""The tables' columns: names, types and comments, the one place that says them.

Owns ``scores``, ``detections``, ``runs`` and ``thresholds``. The pages in docs/tables/ are generated from
here, the catalog's comments come from here, and every frame that is written is selected by these columns.
"""

from dataclasses import dataclass

from pyspark.sql import types as t


@dataclass(frozen=True)
class Column:
    """One column: its comment is what an analyst reads in the catalog."""

    name: str
    type: t.DataType
    comment: str
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its columns, and the columns it is clustered by."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    clustered_by: tuple[str, ...]

    @property
    def schema(self) -> t.StructType:
        """Give the Spark schema, comments included."""
        return t.StructType(
            [t.StructField(c.name, c.type, c.nullable, {"comment": c.comment}) for c in self.columns]
        )

    @property
    def column_names(self) -> list[str]:
        """Give the names in the table's order."""
        return [column.name for column in self.columns]


_STRING, _INT, _LONG, _DOUBLE, _FLOAT = (
    t.StringType(),
    t.IntegerType(),
    t.LongType(),
    t.DoubleType(),
    t.FloatType(),
)
_TIME, _DATE = t.TimestampType(), t.DateType()

DETECTION = t.StructType(
    [
        t.StructField("class_id", _INT),
        t.StructField("label", _STRING),
        t.StructField("score", _FLOAT),
        t.StructField("y_min", _FLOAT),
        t.StructField("x_min", _FLOAT),
        t.StructField("y_max", _FLOAT),
        t.StructField("x_max", _FLOAT),
    ]
)
FRAME = t.StructType(
    [
        t.StructField("frame_index", _INT),
        t.StructField("time_s", _DOUBLE),
        t.StructField("detections", t.ArrayType(DETECTION)),
    ]
)

_MEDIA_URI = Column(
    "media_uri", _STRING, "absolute path of a local file, or URI of a remote one", nullable=False
)
_MEDIA_KIND = Column("media_kind", _STRING, "image or video")
_MODEL = (
    Column("model_name", _STRING, "the model's name, from model.name or its file"),
    Column("model_version", _STRING, "the model's version, from model.version or its digest"),
)
_SCORER_DIGEST = Column(
    "scorer_digest",
    _STRING,
    "SHA-256 of the model and of every setting that changes a result",
    nullable=False,
)
_RUN_ID = Column("run_id", _STRING, "the run that wrote the row: see runs", nullable=False)
_SCORED_AT = Column("scored_at", _TIME, "when the run wrote the row, UTC", nullable=False)
_SCORED_DATE = Column("scored_date", _DATE, "the day of scored_at, UTC", nullable=False)

SCORES = Table(
    "scores",
    "One row per unit of media that a run tried or left out: its version, status, error, detections nested. "
    "The row is committed together with its detections; a unit without a row is still to be scored.",
    (
        Column(
            "score_id",
            _STRING,
            "SHA-256 of the unit's key: media_uri, size, time, segment, scorer, attempt, reason to skip it",
            nullable=False,
        ),
        _MEDIA_URI,
        _MEDIA_KIND,
        Column("size_bytes", _LONG, "the file's size when it was listed"),
        Column("modified_at", _TIME, "the file's modification time when it was listed, UTC"),
        Column("content_sha256", _STRING, "SHA-256 of the file's bytes (images that could be read)"),
        Column("width_px", _INT, "width of the upright picture, also of one refused by its header"),
        Column("height_px", _INT, "height of the upright picture, also of one refused by its header"),
        Column("segment_index", _INT, "number of the video's segment from 0; 0 for an image", nullable=False),
        Column("segment_count", _INT, "segments that the video was cut into; 1 for an image"),
        Column("segment_start_s", _DOUBLE, "where the segment begins; null for an image"),
        Column("segment_end_s", _DOUBLE, "where the segment ends; null for an image"),
        Column(
            "frames_expected",
            _INT,
            "frames that the sampling wants by the video's index; 1 for an image; null where nothing tells",
        ),
        Column("frames_scored", _INT, "frames that went through the model and are kept"),
        Column(
            "attempt",
            _INT,
            "0 for the first try at this version with this scorer, then 1, 2, ...",
            nullable=False,
        ),
        Column("status", _STRING, "scored, failed or skipped", nullable=False),
        Column(
            "error_class",
            _STRING,
            "why it failed (EmptyMedia, DamagedImage, ...) or was skipped (hidden, symlink, ...); with "
            "status scored: DamagedVideo, a part of the frames is there, and the message says where it broke",
        ),
        Column("error_message", _STRING, "the same in words"),
        Column(
            "frames",
            t.ArrayType(FRAME),
            "the frames and their detections, boxes normalised to the upright picture; null once expired "
            "(jobs/maintain.py), while detection_count stays",
        ),
        Column("detection_count", _INT, "detections in all frames"),
        *_MODEL,
        Column("model_digest", _STRING, "SHA-256 of the model's files"),
        _SCORER_DIGEST,
        _RUN_ID,
        _SCORED_AT,
        _SCORED_DATE,
    ),
    ("scored_date", "media_uri"),
)

DETECTIONS = Table(
    "detections",
    "One row per box, published from scores. Older versions of a file keep rows: see current_detections.",
    (
        Column(
            "detection_id",
            _STRING,
            "score_id, frame_index and rank of the box, joined by colons",
            nullable=False,
        ),
        _MEDIA_URI,
        _MEDIA_KIND,
        Column("frame_index", _INT, "number of the decoded frame in presentation order; 0 for an image"),
        Column("time_s", _DOUBLE, "presentation time of the frame from the file's start; null for an image"),
        Column("class_id", _INT, "the label map's id"),
        Column("label", _STRING, "the label map's name, or class_N"),
        Column("score", _FLOAT, "the model's confidence, 0 to 1"),
        Column("y_min", _FLOAT, "top edge, fraction of the upright picture's height"),
        Column("x_min", _FLOAT, "left edge, fraction of the upright picture's width"),
        Column("y_max", _FLOAT, "bottom edge, fraction of the upright picture's height"),
        Column("x_max", _FLOAT, "right edge, fraction of the upright picture's width"),
        Column("x_px", _FLOAT, "left edge in pixels of the upright picture"),
        Column("y_px", _FLOAT, "top edge in pixels of the upright picture"),
        Column("width_px", _FLOAT, "width of the box in pixels"),
        Column("height_px", _FLOAT, "height of the box in pixels"),
        Column("image_width_px", _INT, "width of the upright picture"),
        Column("image_height_px", _INT, "height of the upright picture"),
        *_MODEL,
        _SCORER_DIGEST,
        Column("score_id", _STRING, "the row of scores that it comes from", nullable=False),
        _RUN_ID,
        _SCORED_AT,
        _SCORED_DATE,
    ),
    ("scored_date", "label", "media_uri"),
)

RUNS = Table(
    "runs",
    "One row per finished run: what was listed = scored + failed + skipped + remaining, exactly.",
    (
        Column("run_id", _STRING, "the run's own id", nullable=False),
        Column(
            "status",
            _STRING,
            "done, or failed: something stopped it before its plan was worked off",
            nullable=False,
        ),
        Column("error_message", _STRING, "what stopped it"),
        Column("started_at", _TIME, "UTC", nullable=False),
        Column("finished_at", _TIME, "UTC", nullable=False),
        Column("seconds", _DOUBLE, "from start to finish"),
        Column("listed", _LONG, "files found below media.paths or in the manifest"),
        Column("scored", _LONG, "media that this run scored"),
        Column("failed", _LONG, "media that this run tried and that could not be scored"),
        Column("skipped", _LONG, "media that this run left out, for the reasons in skipped_reasons"),
        Column("skipped_reasons", t.MapType(_STRING, _LONG), "how many were left out for which reason"),
        Column("remaining", _LONG, "media that were planned and not reached: the next run scores them"),
        Column("detections", _LONG, "detections that this run wrote"),
        Column("frames", _LONG, "images and video frames that went through the model"),
        Column("video_s", _DOUBLE, "seconds of video that this run worked off"),
        Column("images_per_second", _DOUBLE, "media scored or failed per second of scoring"),
        *_MODEL,
        Column("model_digest", _STRING, "SHA-256 of the model's files"),
        _SCORER_DIGEST,
        Column("settings", _STRING, "all settings of the run, as JSON"),
        Column(
            "versions",
            t.MapType(_STRING, _STRING),
            "versions of this project, Spark, Delta, TensorFlow, Python",
        ),
    ),
    ("started_at",),
)

THRESHOLDS = Table(
    "thresholds",
    "One row per class and evaluation of a model: the score from which its detections are believed. Of each "
    "model and class the row evaluated last counts: see detections_above_threshold.",
    (
        Column("evaluation_id", _STRING, "the evaluation's own id", nullable=False),
        *_MODEL,
        Column("model_digest", _STRING, "SHA-256 of the model's files", nullable=False),
        Column("class_id", _INT, "the label map's id", nullable=False),
        Column("label", _STRING, "the label map's name, or class_N"),
        Column("threshold", _DOUBLE, "score of the best F1; detections of this score count", nullable=False),
        Column("low", _DOUBLE, "lower end of the threshold's interval, by other pictures like these"),
        Column("high", _DOUBLE, "upper end of the threshold's interval"),
        Column("f1", _DOUBLE, "harmonic mean of precision and recall at the threshold, 0 to 1"),
        Column("f1_low", _DOUBLE, "lower end of the interval of F1 at this threshold"),
        Column("f1_high", _DOUBLE, "upper end of the interval of F1 at this threshold"),
        Column("precision", _DOUBLE, "part of the detections from the threshold that found an object"),
        Column("recall", _DOUBLE, "part of the objects that were found from the threshold"),
        Column("images", _LONG, "labelled pictures with objects of the class"),
        Column("objects", _LONG, "labelled objects of the class"),
        Column("confidence", _DOUBLE, "of the intervals, such as 0.95"),
        Column("iou_threshold", _DOUBLE, "overlap from which a detection has found an object"),
        Column("data", _STRING, "folder and split of the labelled pictures"),
        Column("evaluated_at", _TIME, "UTC", nullable=False),
    ),
    ("model_digest", "class_id"),
)

ALL_TABLES = (SCORES, DETECTIONS, RUNS, THRESHOLDS)
