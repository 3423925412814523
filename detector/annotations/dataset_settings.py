"""The settings of jobs/dataset.py's four commands.

Owns their names, defaults and explanations. Refuses what ``detector.settings_sources`` refuses.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from detector.annotations.duplicates import MAX_DISTANCE_BITS
from detector.annotations.label_checks import RARE_FRACTION
from detector.annotations.picture_facts import MAX_PIXELS, Depth
from detector.settings import SparkSettings
from detector.settings_sources import JobSettings

_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+) *(?P<unit>ms|s|min|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_duration_s(given: object) -> object:
    """Read a time such as "2s", "500ms", "1.5", "1m" or "1h" as seconds; others are left to be refused.

    >>> parse_duration_s("2s"), parse_duration_s("500 ms"), parse_duration_s("soon")
    (2.0, 0.5, 'soon')
    """
    matched = _DURATION.fullmatch(given.strip()) if isinstance(given, str) else None
    if matched is None:
        return given
    return float(matched["number"]) * _SECONDS[matched["unit"] or "s"]


Duration = Annotated[float, BeforeValidator(parse_duration_s)]


FormatName = Literal["voc", "coco", "yolo", "createml", "tfrecord", "label-studio", "automl-jsonl"]


class DatasetSettings(JobSettings):
    """What the commands on a folder of annotated pictures share."""

    folder: CliPositionalArg[Path] = Field(description="the folder that holds pictures and annotations")
    format: FormatName = Field("voc", description="of the annotations")
    images: Path | None = Field(None, description="folder in it that alone holds pictures")
    annotations: Path | None = Field(
        None, description="folder (or document) in it that alone holds annotations"
    )
    background: bool = Field(
        False, description="pictures that nobody annotated are meant to have no objects (default: left out)"
    )
    workers: int | None = Field(None, gt=0, description="processes and threads to read with (default: cores)")


class PictureSettings(DatasetSettings):
    """What the commands that look at the pictures share."""

    max_pixels: int = Field(MAX_PIXELS, gt=0, description="larger pictures are refused by their header")
    near_bits: int = Field(
        MAX_DISTANCE_BITS,
        ge=0,
        le=16,
        description="pictures are near-duplicates when at most so many of 64 bits of their hashes differ",
    )
    spark_above: int | None = Field(
        None,
        ge=0,
        description="read more pictures than this by a Spark job (default: only with spark.master)",
    )
    spark: SparkSettings = SparkSettings()

    def wants_spark(self, images: int) -> bool:
        """Tell whether so many images are to be read through Spark."""
        return self.spark.master is not None or (self.spark_above is not None and images > self.spark_above)


class CheckSettings(PictureSettings):
    """Report what is in a folder of annotated pictures, and every mistake with file, line and what to do.

    Exit codes: 0 nothing that would break training, 2 something would, or a setting is wrong, 1 all else.
    """

    model_config = SettingsConfigDict(cli_prog_name="dataset.py check")

    pictures: Depth = Field(
        "pixels",
        description="how closely to look at pictures: pixels decodes them (damage, copies), headers finds "
        "their size only, names opens none",
    )
    labels: Path | None = Field(None, description="label map; classes that are not in it are errors")
    split: Path | None = Field(
        None,
        description="a split's manifest to compare with (default: folders train, val and test, if any)",
    )
    out: Path | None = Field(None, description="JSON file to write the report to")
    page: Path | None = Field(None, description="HTML file to write, with the boxes on the pictures")
    canvas_px: int = Field(640, gt=0, description="side of the model's input, to compare boxes with anchors")
    cluster_iou: float = Field(
        0.5, gt=0, le=1, description="boxes of one class that overlap so much are of one object"
    )
    rare_fraction: float = Field(
        RARE_FRACTION, ge=0, le=1, description="a class is rare below this part of the others' median"
    )


class SplitSettings(PictureSettings):
    """Split a folder of annotated pictures into training, validation and test; write the manifest.

    Stratified by class, repeatable by seed; copies, near-duplicates and frames of one clip stay together.
    Exit codes: 0 done, 2 a setting is wrong or annotation files can't be used, 1 anything else.
    """

    model_config = SettingsConfigDict(cli_prog_name="dataset.py split")

    train: float = Field(0.8, description="part for training; the three sum to 1")
    val: float = Field(0.1, description="part for validation")
    test: float = Field(0.1, description="part for the test")
    seed: int = Field(0, description="of the split; the same one gives the same split")
    out: Path = Field(Path("split.csv"), description="manifest to write, .csv or .parquet")
    overwrite: bool = Field(False, description="replace another split's manifest")

    @property
    def fractions(self) -> dict[str, float]:
        """The part of each split by its name."""
        return {"train": self.train, "val": self.val, "test": self.test}


class ConvertSettings(DatasetSettings):
    """Write annotated pictures in another format, and say what that can't hold.

    Exit codes: 0 done, 2 a setting is wrong or annotation files can't be used, 1 anything else.
    """

    model_config = SettingsConfigDict(cli_prog_name="dataset.py convert")

    to: FormatName = Field(description="format to write")
    out: Path = Field(description="folder to write to")
    split: Path | None = Field(None, description="a split's manifest: only the pictures of part are written")
    part: str | None = Field(None, description="which part of the split: train, val or test")
    pictures: Literal["reference", "copy", "link"] = Field(
        "reference", description="reference leaves pictures where they are, copy and link put them into out"
    )
    labels: Path | None = Field(None, description="label map: its classes alone, in its order")
    uri_prefix: str = Field("", description="goes before each picture's path where the format wants a URI")
    shards: int | None = Field(None, gt=0, description="TFRecord files (default: one for 1,000 pictures)")

    @model_validator(mode="after")
    def _name_both(self) -> Self:
        if (self.split is None) != (self.part is None):
            raise ValueError("split and part belong together: --split split.csv --part train")
        return self


class FramesSettings(JobSettings):
    """Take pictures out of videos, to annotate them; their names say clip, time and frame.

    Exit codes: 0 done, 2 a setting is wrong or a picture of this name is there, 1 a video can't be read
    to its end; the frames before the damage are kept.
    """

    model_config = SettingsConfigDict(cli_prog_name="dataset.py frames")

    videos: CliPositionalArg[list[Path]] = Field(description="video files")
    every: Duration = Field(2.0, gt=0, description="time between two pictures: 2s, 500ms, 1m")
    out: Path = Field(description="folder to write to")
    start: Duration = Field(0.0, ge=0, description="time in the video where to begin")
    end: Duration | None = Field(None, gt=0, description="time in the video where to end")
    overwrite: bool = Field(False, description="replace pictures of the same name")
    quality: int = Field(95, ge=1, le=100, description="of the JPEG files")
    max_pixels: int = Field(MAX_PIXELS, gt=0, description="larger frames are refused")

    @model_validator(mode="after")
    def _go_forward(self) -> Self:
        if not all(math.isfinite(time) for time in (self.every, self.start, self.end or 0)):
            raise ValueError("every, start and end are times such as 2s")
        if self.end is not None and self.end <= self.start:
            raise ValueError("end must be after start")
        return self
