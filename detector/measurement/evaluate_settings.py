"""The settings of jobs/evaluate.py.

Owns their names, defaults and explanations. Refuses what ``detector.settings_sources`` refuses.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from detector.media.filesystem import is_remote
from detector.settings import ModelSettings, SparkSettings, TableSettings
from detector.settings_sources import JobSettings, Section


class DataSettings(Section):
    """The labelled pictures."""

    root: Path = Field(description="the folder that holds pictures and annotations")
    format: str = Field(
        "voc",
        description="of the annotations: voc, coco, yolo, createml, tfrecord, label-studio, automl-jsonl",
    )
    images: Path | None = Field(None, description="folder in it that alone holds pictures")
    annotations: Path | None = Field(
        None, description="folder (or document) in it that alone holds annotations"
    )
    split: Path | None = Field(
        None, description="a split's manifest, of jobs/dataset.py split (default: all annotated pictures)"
    )
    split_name: str = Field("test", description="which of its splits: train, val or test")
    background: bool = Field(
        False,
        description="without a split: pictures that nobody annotated have no objects (default: left out)",
    )
    cluster_iou: float = Field(
        0.5,
        gt=0,
        le=1,
        description="boxes of one class that overlap more are one object, their mean box; 1 merges none, as "
        "public benchmarks do",
    )
    unknown_labels: Literal["refuse", "leave_out"] = Field(
        "refuse", description="what to do about classes that the model doesn't know"
    )
    unreadable: Literal["refuse", "leave_out"] = Field(
        "refuse", description="what to do about pictures that can't be decoded or scored"
    )
    max_pixels: int = Field(120_000_000, gt=0, description="larger pictures are refused by their header")
    workers: int | None = Field(None, gt=0, description="processes and threads to read with (default: cores)")


class EvaluatedModel(ModelSettings):
    """The model, where its detections are not in the tables already."""

    min_score: float = Field(
        0.001, ge=0, le=1, description="detections below are not counted; average precision wants it near 0"
    )
    gpu: str | None = Field(
        None, description="address of the GPU to run on, as nvidia-smi counts, or a UUID (default: the CPU)"
    )


class EvaluatedTables(TableSettings):
    """The tables: where detections are read from if no model is given, and thresholds are written to."""

    labels: Path | None = Field(
        None, description="label map of the model that scored; needed where no model is given"
    )
    model_name: str | None = Field(None, description="only rows of this model_name")
    model_version: str | None = Field(None, description="only rows of this model_version")
    scorer_digest: str | None = Field(None, description="only rows of this scorer_digest")
    media_root: str | None = Field(
        None,
        description="what data.root is called in media_uri, such as s3://bucket/photos (default: its path)",
    )


class MetricSettings(Section):
    """How detections are judged."""

    iou_threshold: float = Field(
        0.5, gt=0, le=1, description="overlap from which a detection has found an object, for counts and F1"
    )
    score_threshold: float | None = Field(
        None, ge=0, le=1, description="count detections from this score (default: each class's best F1)"
    )
    thresholds: Path | None = Field(
        None, description="count detections from the scores of this thresholds.json, such as validation gave"
    )
    resamples: int = Field(1000, ge=100, description="of the bootstrap over pictures, for the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
    seed: int = Field(0, description="of the bootstrap")
    hierarchy: Path | None = Field(
        None, description="JSON of classes above classes, for Open Images' average precision"
    )

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.score_threshold is not None and self.thresholds is not None:
            raise ValueError("give evaluation.score_threshold or evaluation.thresholds, not both")
        return self


class EvaluateSettings(JobSettings):
    """Measure a detection model on labelled pictures: average precision, thresholds, what it got wrong.

    With model.uri the model runs here; without it, detections are read from the tables that jobs/score.py
    wrote. Each setting is a key of the YAML file (--config), an environment variable or a flag below.
    The last line of standard output is one JSON object.
    Exit codes: 0 done, 1 unexpected error, 2 settings, model or data refused.
    """

    data: DataSettings
    model: EvaluatedModel | None = None
    tables: EvaluatedTables | None = None
    evaluation: MetricSettings = MetricSettings()
    write_thresholds: bool = Field(
        False,
        description="write each class's best threshold to thresholds.json beside the model, and to the table "
        "thresholds where tables are given",
    )
    out: Path | None = Field(None, description="JSON file to write the figures to")
    page: Path | None = Field(None, description="HTML file to write, with the boxes on the worst pictures")
    pictures: int = Field(60, ge=0, description="how many pictures the page shows, worst first")
    spark: SparkSettings = SparkSettings()

    @model_validator(mode="after")
    def _know_the_detections(self) -> Self:
        if self.model is None and self.tables is None:
            raise ValueError("give model.uri, or tables.root or tables.schema: there are no detections")
        if self.model is None and self.tables is not None and self.tables.labels is None:
            raise ValueError("tables.labels is missing: give the label map of the model that scored")
        if self.write_thresholds and self.model is not None and is_remote(self.model.uri):
            raise ValueError("write_thresholds needs a local model.uri: thresholds.json is written beside it")
        return self
