"""The training loop: epochs of steps, a measurement now and then, the best weights kept, a way to go on.

Owns the order of things and the run's state. A checkpoint is written after each epoch; a run that is started
again in the same folder goes on after the last one, with the same batches as if nothing had happened. Stops
where the loss is no number, and says which pictures were in the batch.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from detector.errors import TrainingError
from detector.training.families.family import Detector
from detector.training.fit.checkpoints import (
    assign_values,
    read_checkpoint,
    read_values,
    write_checkpoint,
)
from detector.training.fit.memory import explain_memory
from detector.training.fit.schedule import compute_learning_rate
from detector.training.fit.steps import Stepper
from detector.training.fit.validation import Validation, build_detect, measure, predict_canvases
from detector.training.input.batch import Batch
from detector.training.train_settings import ExportSettings, FitSettings

LAST, BEST = "last.npz", "best.npz"
Figures = dict[str, float]
Report = Callable[[int, Figures], None]


class Feed(Protocol):
    """Where training batches come from: the same ones for the same epoch, whenever asked."""

    @property
    def steps_per_epoch(self) -> int:
        """Count the batches of an epoch."""
        ...

    def epoch(self, number: int) -> Any:  # noqa: ANN401 (an iterable of Batch)
        """Give the batches of one epoch, from 0."""
        ...

    def name_of(self, example: int) -> str:
        """Name the picture at a position."""
        ...


@dataclass
class Progress:
    """What a checkpoint says of the run: ``epoch`` epochs are done, the best was after ``best_epoch``."""

    epoch: int = 0
    best_epoch: int = 0
    best: float = -1.0
    seconds: float = 0.0
    history: list[Figures] = field(default_factory=list)


def fit(
    detector: Detector,
    feed: Feed,
    validation: Validation,
    *,
    settings: FitSettings,
    export: ExportSettings,
    folder: Path,
    report: Report,
) -> Progress:
    """Train until the epochs are done or patience is out; the detector has the best weights afterwards.

    ``folder`` holds the checkpoints. ``report(epoch, figures)`` is called after each epoch with the mean
    losses, the learning rate and, where measured, ``ap``, ``ap50`` and ``ap75``; what it raises ends the run.
    Raises ``TrainingError`` where a loss is no number or the GPU's memory is too small.
    """
    stepper = Stepper(detector, settings)
    progress = _go_on(stepper, folder / LAST)
    detect = build_detect(detector, export)
    while progress.epoch < settings.epochs and not _is_patience_out(progress, settings):
        began = time.monotonic()
        stepper.set_phase(backbone_frozen=progress.epoch < settings.freeze_epochs)
        figures = _run_epoch(stepper, feed, progress.epoch, settings)
        progress.epoch += 1
        is_last = progress.epoch == settings.epochs
        if progress.epoch % settings.evaluate_every == 0 or is_last:
            with stepper.average.applied():
                results = predict_canvases(detect, validation, detector.input_px)
                figures |= measure(results, validation.truths)
                _keep_if_best(progress, figures[settings.metric], detector, folder / BEST)
        progress.seconds += time.monotonic() - began
        progress.history.append({"epoch": float(progress.epoch), **figures})
        _write(stepper, progress, folder / LAST)
        report(progress.epoch, figures)
    _, groups = read_checkpoint(folder / BEST)
    assign_values(detector.model.variables, groups["model"], owner=str(folder / BEST))
    return progress


def _run_epoch(stepper: Stepper, feed: Feed, epoch: int, settings: FitSettings) -> Figures:
    sums: dict[str, float] = {}
    step = epoch * feed.steps_per_epoch
    waiting: tuple[int, Batch, Mapping[str, Any]] | None = None
    rate, began, pictures = 0.0, time.monotonic(), 0
    for batch in feed.epoch(epoch):
        rate = compute_learning_rate(step, feed.steps_per_epoch, settings)
        try:
            losses = stepper.take(batch, rate)
        except tf.errors.ResourceExhaustedError as error:
            raise explain_memory(stepper, batch, error) from error
        # Read one step late, so that the next one is on its way while the numbers come back.
        if waiting is not None:
            _add(sums, *waiting, feed)
        waiting = (step, batch, losses)
        step += 1
        pictures += int(batch.pixels.shape[0])
    if waiting is not None:
        _add(sums, *waiting, feed)
    figures = {name: total / feed.steps_per_epoch for name, total in sums.items()}
    return figures | {"learning_rate": rate, "images_per_second": pictures / (time.monotonic() - began)}


def _add(sums: dict[str, float], step: int, batch: Batch, losses: Mapping[str, Any], feed: Feed) -> None:
    for name, loss in losses.items():
        value = float(loss)
        if not np.isfinite(value):
            names = ", ".join(feed.name_of(int(example)) for example in np.asarray(batch.examples))
            raise TrainingError(
                f"{name} is {value} at step {step + 1}, with the pictures {names}: look at their boxes with "
                "jobs/dataset.py check; else lower fit.learning_rate or fit.clip_norm, or take fit.precision "
                "float32"
            )
        sums[name] = sums.get(name, 0.0) + value


def _is_patience_out(progress: Progress, settings: FitSettings) -> bool:
    return settings.patience is not None and progress.epoch - progress.best_epoch >= settings.patience


def _keep_if_best(progress: Progress, figure: float, detector: Detector, path: Path) -> None:
    if figure > progress.best:
        progress.best, progress.best_epoch = figure, progress.epoch
        state = {"epoch": progress.epoch, "figure": figure}
        write_checkpoint(path, state, {"model": read_values(detector.model.variables)})


def _write(stepper: Stepper, progress: Progress, path: Path) -> None:
    groups = {
        "model": read_values(stepper.detector.model.variables),
        "optimizer": read_values(stepper.optimizer_variables),
        "average": stepper.average.read(),
        "step": [stepper.step.numpy()],
    }
    write_checkpoint(path, asdict(progress), groups)


def _go_on(stepper: Stepper, path: Path) -> Progress:
    if not path.is_file():
        return Progress()
    state, groups = read_checkpoint(path)
    assign_values(stepper.detector.model.variables, groups["model"], owner=str(path))
    assign_values(stepper.optimizer_variables, groups["optimizer"], owner=str(path))
    stepper.average.restore(groups["average"])
    stepper.step.assign(groups["step"][0])
    return Progress(**state)
