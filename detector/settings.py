"""The settings of scoring, and those that several jobs share: names, types, defaults and explanations.

Owns what can be set and what it means. Where settings come from is ``detector.settings_sources``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from detector.settings_sources import JobSettings, Section

IMAGE_PATTERNS = (
    "*.jpg", "*.jpeg", "*.jpe", "*.jfif", "*.png", "*.webp", "*.bmp", "*.dib", "*.tif", "*.tiff",
    "*.gif", "*.avif", "*.pbm", "*.pgm", "*.ppm", "*.pnm",
)  # fmt: skip
VIDEO_PATTERNS = (
    "*.mp4", "*.m4v", "*.mov", "*.3gp", "*.mkv", "*.webm", "*.avi", "*.ts", "*.mts", "*.m2ts", "*.mpg",
    "*.mpeg", "*.wmv", "*.flv", "*.ogv",
)  # fmt: skip

MIB = 1024 * 1024


_SAMPLE = re.compile(r"every_frame|keyframes|scenes|fps: *(?P<fps>\d+(\.\d+)?)|every_n: *(?P<every_n>\d+)")


def _read_sample(given: object) -> object:
    # YAML's `fps: 2.0` is a mapping; on the command line the same words are one string.
    if isinstance(given, Mapping) and len(given) == 1:
        given = ": ".join(map(str, *given.items()))
    if not isinstance(given, str):
        return given
    matched = _SAMPLE.fullmatch(given.strip())
    numbers = {} if matched is None else {word: float(n) for word, n in matched.groupdict().items() if n}
    if matched is None or not all(numbers.values()):
        words = "every_frame, keyframes, scenes, 'fps: 2.0' or 'every_n: 10'"
        raise ValueError(f"media.video.sample is {given!r}: give {words}")
    canonical = [f"{word}: {n if word == 'fps' else int(n)}" for word, n in numbers.items()]
    return canonical[0] if canonical else given.strip()


class VideoSettings(Section):
    """Which frames of videos to score."""

    sample: Annotated[str, BeforeValidator(_read_sample)] = Field(
        "fps: 1.0",
        description="every_frame, keyframes, scenes (a frame per scene change), 'fps: 2.0' or 'every_n: 10'",
    )
    start_s: float = Field(0, ge=0, description="seconds from the file's start where scoring begins")
    end_s: float | None = Field(None, gt=0, description="seconds from the file's start where it ends")
    segment_s: float = Field(
        60, gt=0, description="longer videos are cut at keyframes into segments of this many seconds"
    )
    stream: int | None = Field(
        None, ge=0, description="which of several video streams, from 0 (default: the file's own default)"
    )

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError("media.video.end_s must be after media.video.start_s")
        return self


class MediaSettings(Section):
    """What to score."""

    paths: list[str] = Field(
        [], description="folders, files or globs: local, or s3://, gs://, abfss://, hdfs://"
    )
    manifest: str | None = Field(
        None, description="a Delta, Parquet or CSV table (path or catalog name) with a column media_uri"
    )
    include: list[str] = Field(
        [*IMAGE_PATTERNS, *VIDEO_PATTERNS],
        description="file name patterns to score, any case; a / in one matches the whole path",
    )
    exclude: list[str] = Field([], description="file name patterns to leave out, any case; wins over include")
    recursive: bool = Field(True, description="also the folders below")
    follow_symlinks: bool = Field(False, description="follow symbolic links, also out of the given folders")
    min_age_s: float = Field(
        0, ge=0, description="files younger than this many seconds wait for the next run"
    )
    max_pixels: int = Field(
        120_000_000, gt=0, description="larger images and video frames are refused by their header"
    )
    video: VideoSettings = VideoSettings()


class ModelSettings(Section):
    """What to score with."""

    uri: str = Field(
        description="a SavedModel folder or a frozen graph .pb: local, s3://, gs://, abfss://, hdfs://; or a "
        "registered model: models:/NAME@champion, models:/NAME/VERSION"
    )
    registry_uri: str | None = Field(
        None,
        description="MLflow registry of models:/: sqlite:///FILE, http(s)://HOST, databricks-uc (default: "
        "MLFLOW_REGISTRY_URI, else MLFLOW_TRACKING_URI)",
    )
    labels: str | None = Field(
        None,
        description="label map: .pbtxt, .json, or .txt with a name per line from id 1 (default: the "
        "label_map.pbtxt of a package that jobs/train.py made)",
    )
    name: str | None = Field(
        None,
        description="model_name in the tables (default: the registered, else the file's or folder's name)",
    )
    version: str | None = Field(
        None,
        description="model_version in the tables (default: the registered, else 12 digits of its digest)",
    )
    min_score: float = Field(0.05, ge=0, le=1, description="detections below are not written")
    max_detections: int | None = Field(None, gt=0, description="at most this many per image, best first")
    batch_size: int = Field(8, gt=0, description="images a call, where the model takes more than one")
    input_hw: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = Field(
        None,
        description="letterbox every image to height,width first (default: the model's fixed size, or none)",
    )
    box_format: Literal["auto", "yxyx_norm", "yxyx_px", "xyxy_norm", "xyxy_px", "xywh_norm", "xywh_px"] = (
        Field("auto", description="what the model's boxes are, where its signature does not tell")
    )
    pixel_range: Literal["0..255", "0..1", "-1..1"] = Field(
        "0..255", description="pixel values for a model with a float input"
    )
    class_offset: int | None = Field(
        None,
        description="added to the model's class to give class_id (default: 0; for Keras exports 1)",
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{64}$",
        description="refuse any model but the one of this digest (model_digest in the tables)",
    )
    public_key: Path | None = Field(
        None,
        description="PEM file of an elliptic-curve key: refuse a model that it hasn't signed "
        "(OpenSSF Model Signing)",
    )
    signature: Path | None = Field(
        None, description="the model's signature (default: beside the model, its name and .sig)"
    )
    trust_ops: list[str] = Field(
        [], description="TensorFlow operations to accept in the model although they are refused by default"
    )
    broadcast_max_bytes: int = Field(
        512 * MIB,
        ge=0,
        description="larger models are read by each machine from model.uri (registered ones never)",
    )


class TableSettings(Section):
    """Where the results are written."""

    root: str | None = Field(
        None, description="folder of the Delta tables: local, or any URI that Spark writes to"
    )
    schema_: str | None = Field(
        None, alias="schema", description="catalog.schema of the tables, instead of a root"
    )
    checkpoints: str | None = Field(
        None,
        description="folder of the publishing stream's progress (needed with a schema; default: in the root)",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.root is None) == (self.schema_ is None):
            raise ValueError("give tables.root or tables.schema, one of them")
        if self.schema_ is not None and self.checkpoints is None:
            raise ValueError(
                "tables.schema needs tables.checkpoints: a folder, such as a Unity Catalog volume"
            )
        return self


class RunSettings(Section):
    """How to run."""

    rescore: bool = Field(False, description="score everything listed again, whatever the tables hold")
    max_failed_fraction: float = Field(
        0.05, ge=0, le=1, description="of the media tried; more failed: exit code 3"
    )
    commit_every_s: float = Field(300, gt=0, description="seconds of scoring that one commit should hold")
    commit_units: int | None = Field(None, gt=0, description="units a commit, instead of commit_every_s")
    task_units: int | None = Field(None, gt=0, description="units a Spark task (default: what takes 15 s)")
    decode_threads: int | None = Field(
        None,
        gt=0,
        description="threads a worker decodes with (default: the cores that its task has, and one)",
    )
    decode_isolated: bool = Field(
        True,
        description="decode in limited processes, so that a file that crashes a decoder, hangs it or eats "
        "memory is a failed row (Linux; elsewhere, and with false, it is decoded beside the model)",
    )
    decode_timeout_s: float = Field(
        10, gt=0, description="seconds that a decoder may do nothing; reading has a second per MB beside"
    )
    decode_memory_bytes: int = Field(
        4096 * MIB, gt=0, description="memory that one decoder's process may take beside the model"
    )
    queue_bytes: int = Field(
        256 * MIB, gt=0, description="decoded pixels a worker may hold waiting for the model"
    )


class SparkSettings(Section):
    """The Spark session, where the job starts one itself."""

    master: str | None = Field(
        None, description="spark.master when not given by spark-submit (default: local[*,4])"
    )
    conf: dict[str, str] = Field(
        {}, description="further Spark settings, as a JSON object on the command line"
    )


class ScoreSettings(JobSettings):
    """Score folders of photos into Delta tables.

    Each setting is a key of the YAML file (--config), an environment variable (DETECTOR_MODEL__URI for
    model.uri) or a flag below; flags win over the environment, the environment over the file.
    Exit codes: 0 done, 1 unexpected error, 2 settings or model refused and nothing written, 3 more media
    failed than run.max_failed_fraction.
    """

    media: MediaSettings = MediaSettings()
    model: ModelSettings
    tables: TableSettings
    run: RunSettings = RunSettings()
    spark: SparkSettings = SparkSettings()

    @model_validator(mode="after")
    def _some_media(self) -> Self:
        if not self.media.paths and self.media.manifest is None:
            raise ValueError("give media.paths or media.manifest: there is nothing to score")
        return self
