"""One training run: a detector from settings and data to a package on disk.

Owns the order: seed and precision, input, network, fit, export, check. A run has a folder of its own, in
which it goes on after a kill; what is finished is not done again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from detector.boxes import compute_letterbox
from detector.evaluation.truth import ImageTruth
from detector.measurement.truths import build_truths, map_names
from detector.media.decoding import decode_image
from detector.training.export.formats import export_formats
from detector.training.export.package import write_package
from detector.training.export.verification import Agreement, check_export
from detector.training.families.family import Detector, FamilyRequest
from detector.training.families.registry import build_detector
from detector.training.families.weights import load_run_weights, locate_weights
from detector.training.fit.checkpoints import assign_values, read_values
from detector.training.fit.loop import Progress, fit
from detector.training.fit.validation import Validation, build_detect, mark_found
from detector.training.input.batches import TrainingInput
from detector.training.input.examples import Example, TrainingData
from detector.training.input.sheet import write_sheet
from detector.training.train_settings import TrainSettings

PACKAGE, CHECKPOINTS, DONE = "package", "checkpoints", "run.json"
SHEET, FOUND = "augmented_samples.jpg", "found_in_validation.jpg"
_CHECKED_PICTURES = 4

Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainedModel:
    """What a run made: its package, the best figure on validation and its epoch, each epoch's figures."""

    package: Path
    metric: float
    best_epoch: int
    seconds: float
    history: list[dict[str, float]]
    agreement: dict[str, float]


def train_once(
    settings: TrainSettings,
    data: TrainingData,
    *,
    folder: Path,
    report: Report,
    show: Callable[[Path], None] = lambda _path: None,
) -> TrainedModel:
    """Train by the settings, write the best weights' package into ``folder``, and check it.

    ``report`` is called after each epoch (see ``fit.loop``); ``show`` with a picture of augmented samples
    before the first step, and with one of what is found in the end. A folder whose run is done is read, not
    trained again.
    """
    done = folder / DONE
    if done.is_file():
        return read_done(folder)
    with _numbers_as(settings):
        feed = TrainingInput(
            data.splits["train"],
            data.labels,
            settings.augment,
            settings.fit,
            settings.data,
            settings.model.input_px,
            folder=folder,
        )
        feed.write_sheet(folder / SHEET)
        show(folder / SHEET)
        request = FamilyRequest(
            settings.model, data.class_count, measure_boxes(data.splits["train"], settings), feed.max_boxes
        )
        detector = build_detector(request)
        _begin_with(detector, settings)
        validation = _open_validation(data, settings, feed)
        progress = fit(
            detector,
            feed,
            validation,
            settings=settings.fit,
            export=settings.export,
            folder=folder / CHECKPOINTS,
            report=report,
        )
    detector = _rebuild_in_float32(detector, request, settings)
    write_sheet(folder / FOUND, mark_found(build_detect(detector, settings.export), validation), data.labels)
    show(folder / FOUND)
    write_package(detector, data.labels, settings, folder / PACKAGE)
    export_formats(detector, settings.export, folder / PACKAGE)
    agreement = check_export(
        detector, settings.export, folder / PACKAGE, read_pictures(data.splits["val"], settings)
    )
    return _write_done(folder, progress, agreement)


def measure_boxes(examples: Sequence[Example], settings: TrainSettings) -> NDArray[np.float32]:
    """Compute (width, height) of all boxes in fractions of the canvas: float32 [N, 2]."""
    canvas_px, sizes = settings.model.input_px, []
    for example in examples:
        letterbox = compute_letterbox((example.height_px, example.width_px), (canvas_px, canvas_px))
        scale = np.array(letterbox.content_hw[::-1]) / canvas_px / (example.width_px, example.height_px)
        for box in example.boxes:
            x_min, y_min, x_max, y_max = box.xyxy_px
            sizes.append(np.array([x_max - x_min, y_max - y_min]) * scale)
    return np.array(sizes, np.float32).reshape(-1, 2)


def build_split_truths(data: TrainingData, split: str, settings: TrainSettings) -> list[ImageTruth]:
    """Give the ground truth of a split, one box for each object, in the order of its examples."""
    examples = data.splits[split]
    truths = build_truths(
        data.dataset,
        map_names(data.labels.names),
        [example.name for example in examples],
        cluster_iou=settings.data.cluster_iou,
        workers=settings.data.workers,
    )
    by_name = {truth.image: truth for truth in truths}
    return [by_name[example.name] for example in examples]


def read_pictures(examples: Sequence[Example], settings: TrainSettings) -> list[NDArray[np.uint8]]:
    """Decode the first few pictures at their own size, upright."""
    chosen = examples[:_CHECKED_PICTURES]
    return [
        decode_image(e.path.read_bytes(), max_pixels=settings.data.max_pixels, canvas_hw=None).pixels
        for e in chosen
    ]


def _open_validation(data: TrainingData, settings: TrainSettings, feed: TrainingInput) -> Validation:
    examples = data.splits["val"]
    return Validation(build_split_truths(data, "val", settings), lambda: feed.plain_batches(examples))


@contextmanager
def _numbers_as(settings: TrainSettings) -> Iterator[None]:
    """Seed all generators and set the precision of both Keras while a network is built and trained."""
    keras.utils.set_random_seed(settings.fit.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.fit.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _begin_with(detector: Detector, settings: TrainSettings) -> None:
    """Take the weights of an earlier run's whole detector; other weights came with the backbone."""
    source = locate_weights(settings.model.weights)
    if source.kind == "run":
        load_run_weights(detector.model, source.path)


def _rebuild_in_float32(detector: Detector, request: FamilyRequest, settings: TrainSettings) -> Detector:
    if settings.fit.precision == "float32":
        return detector
    whole = build_detector(request)
    assign_values(whole.model.variables, read_values(detector.model.variables), owner="the trained network")
    return whole


def _write_done(folder: Path, progress: Progress, agreement: Agreement) -> TrainedModel:
    facts: dict[str, Any] = {
        "metric": progress.best,
        "best_epoch": progress.best_epoch,
        "seconds": progress.seconds,
        "history": progress.history,
        "agreement": asdict(agreement),
    }
    temporary = folder / f".{DONE}.tmp"
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    temporary.replace(folder / DONE)
    return TrainedModel(folder / PACKAGE, **facts)


def read_done(folder: Path) -> TrainedModel:
    """Read what the finished run in a folder made."""
    return TrainedModel(folder / PACKAGE, **json.loads((folder / DONE).read_text(encoding="utf-8")))
