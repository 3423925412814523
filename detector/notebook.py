"""Photos to a model in a notebook: the jobs' own code, a few words each.

    photos = Photos("photos")
    model = photos.train(model={"backbone": "mobilenet_v2"}, fit={"epochs": 30})
    model.evaluate("test").coco.ap50
    model.predict("new.jpg")
    model.export("my_model")

Owns the words and what a cell shows. Computes nothing that the jobs don't.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from rich.progress import Progress

from detector.evaluation.report import EvaluationReport
from detector.measurement.measuring import measure_model
from detector.measurement.opening import OpenedModel, open_model
from detector.measurement.predictions import predict_images
from detector.media.decoding import decode_image
from detector.reports.drawing import draw_boxes
from detector.reports.scored_video import FoundBox
from detector.settings import ModelSettings
from detector.training.export.package import LABEL_MAP, copy_package
from detector.training.input.examples import TrainingData, load_training_data
from detector.training.train import TrainingOutcome, describe_data, train
from detector.training.train_settings import DataSettings, TrainSettings

_SHOWN_SCORE = 0.3
_MAX_PIXELS = 120_000_000


@dataclass(frozen=True)
class Prediction:
    """What a model finds in one picture: a row a box in ``boxes``; a notebook shows the picture.

    Columns: class_id, label, score, x_min, y_min, x_max, y_max, edges in pixels of the upright picture.
    """

    path: Path
    boxes: pd.DataFrame

    def draw(self, min_score: float = _SHOWN_SCORE) -> Image.Image:
        """Draw the boxes that reach ``min_score`` into the upright picture."""
        pixels = decode_image(self.path.read_bytes(), max_pixels=_MAX_PIXELS, canvas_hw=None).pixels
        height, width = pixels.shape[:2]
        shown = self.boxes[self.boxes["score"] >= min_score]
        found = [
            FoundBox(
                class_id=row["class_id"],
                label=row["label"],
                score=row["score"],
                left=row["x_min"] / width,
                top=row["y_min"] / height,
                right=row["x_max"] / width,
                bottom=row["y_max"] / height,
            )
            for row in shown.to_dict("records")
        ]
        return Image.fromarray(draw_boxes(pixels, found, None))

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.draw().save(content, "PNG")
        return content.getvalue()


class Model:
    """A model that was trained here, or any that scores: a package, a SavedModel, models:/NAME@champion."""

    def __init__(
        self,
        uri: str | Path,
        *,
        outcome: TrainingOutcome | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        self.uri = str(uri)
        self.outcome = outcome
        self._settings = ModelSettings(uri=self.uri, **({"min_score": 0.01} | settings))
        self._opened: OpenedModel | None = None

    def predict(self, path: str | Path) -> Prediction:
        """Detect in one picture file."""
        opened, path = self._open(), Path(path)
        [result] = predict_images(opened.predictor, {path.name: path})
        edges = dict(zip(("x_min", "y_min", "x_max", "y_max"), result.boxes_xyxy_px.T, strict=True))
        labels = [opened.labels.name_of(int(class_id)) for class_id in result.class_ids]
        columns = {"class_id": result.class_ids, "label": labels, "score": result.scores, **edges}
        return Prediction(path, pd.DataFrame(columns))

    def evaluate(self, split: str = "test", photos: "Photos | None" = None) -> EvaluationReport:
        """Measure on a split of ``photos`` (default: those it was trained on)."""
        data = photos.data if photos is not None else self.outcome.data if self.outcome is not None else None
        if data is None:
            raise ValueError("give photos: this model wasn't trained here")
        opened = self._open()
        images = [example.name for example in data.splits[split]]
        with _show() as watch:
            return measure_model(
                opened.predictor,
                data.dataset,
                opened.labels,
                images=images,
                progress=watch(f"{split} pictures"),
            )

    def export(self, folder: str | Path) -> Path:
        """Copy the trained package to ``folder`` and return it; an older package there goes."""
        if self.outcome is None:
            raise ValueError("only a model that was trained here has a package to copy")
        copy_package(self.outcome.release.package, Path(folder))
        return Path(folder)

    def _open(self) -> OpenedModel:
        if self._opened is None:
            self._opened = open_model(self._settings)
        return self._opened


class Photos:
    """Annotated photos below a folder; ``settings`` are those of ``data`` in jobs/train.py, by name."""

    def __init__(self, folder: str | Path, **settings: Any) -> None:  # noqa: ANN401 (any setting)
        self._settings = DataSettings(root=Path(folder), **settings)
        self._data: TrainingData | None = None

    @property
    def data(self) -> TrainingData:
        """Give the photos, read, checked and split; read once."""
        if self._data is None:
            with _show() as watch:
                self._data = load_training_data(self._settings, watch)
        return self._data

    def train(self, **sections: Any) -> Model:  # noqa: ANN401 (any setting)
        """Train by the sections of jobs/train.py's YAML: ``model={...}, fit={...}, out="runs"``."""
        settings = TrainSettings(data=self._settings.model_dump(), **sections)
        with _show() as watch:
            outcome = train(settings, watch)
        return Model(
            outcome.release.package, outcome=outcome, labels=str(outcome.release.package / LABEL_MAP)
        )

    def __repr__(self) -> str:
        return f"Photos({self._settings.root}): {describe_data(self.data)}"


@contextmanager
def _show() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show progress bars, in a notebook as on a terminal."""
    with Progress(transient=True) as bars:

        def watch(name: str) -> Callable[[int, int], None]:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield watch
