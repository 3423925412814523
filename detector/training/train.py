"""What jobs/train.py does: data, one run or a search, the best model's release.

Owns the order and the folder of a run, whose name follows from settings and data, so that the same command
goes on where a killed one stopped. Refuses to print: what there is to say goes to ``tell``.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detector.annotations.commands import Watch
from detector.training.devices import find_devices
from detector.training.experiment.experiments import open_experiment
from detector.training.experiment.runs import TrackedRun, describe_settings, start_run
from detector.training.families.registry import check_architecture
from detector.training.input.examples import TrainingData, load_training_data
from detector.training.release import Release, release_model
from detector.training.train_settings import TrainSettings
from detector.training.training_run import TrainedModel, train_once

Tell = Callable[[str], None]
_RUN_ID = "mlflow_run_id"
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class TrainingOutcome:
    """What was trained and released; ``folder`` is the run's, ``data`` what it learned from."""

    folder: Path
    trained: TrainedModel
    release: Release
    data: TrainingData
    settings: TrainSettings


def train(settings: TrainSettings, watch: Watch | None = None, tell: Tell = print) -> TrainingOutcome:
    """Train by the settings, choose, export, register.

    Raises ``SettingsError`` before anything is trained, for settings or data; ``TrainingError`` and
    ``ModelError`` afterwards.
    """
    check_architecture(settings.model.architecture)
    devices = find_devices()
    tell(devices.describe())
    if devices.problem is not None:
        tell(f"warning: {devices.problem}")
    data = load_training_data(settings.data, watch)
    tell(describe_data(data))
    for problem in data.problems[:_SHOWN_PROBLEMS]:
        tell(f"  {problem}")
    folder = settings.out / name_run(settings, data)
    experiment = open_experiment(settings.tracking, settings.out, settings.model.name)
    with start_run(experiment, folder.name, resume=_read_run_id(folder)) as run:
        _write_run_id(folder, run)
        tell(f"run {folder.name} in {folder}; MLflow at {experiment.shown}")
        trained = train_tracked(settings, data, folder=folder, run=run, tell=tell)
        release = release_model(trained, data, settings, experiment, run)
    return TrainingOutcome(folder, trained, release, data, settings)


def train_tracked(
    settings: TrainSettings,
    data: TrainingData,
    *,
    folder: Path,
    run: TrackedRun,
    tell: Tell,
    report: Callable[[int, dict[str, float]], None] = lambda _epoch, _figures: None,
) -> TrainedModel:
    """Train once, and keep settings, data, environment, samples and each epoch's figures in an MLflow run.

    ``report`` is called after each epoch, behind the tracking; what it raises ends the run.
    """
    run.log_settings(settings)
    run.log_environment()
    run.log_data(settings.data.root.name, data.digest)

    def show(path: Path) -> None:
        run.log_artifact(path, "samples")
        tell(f"augmented samples: {path}")

    def keep(epoch: int, figures: dict[str, float]) -> None:
        run.log_metrics(figures, epoch)
        tell(describe_epoch(epoch, settings.fit.epochs, figures))
        report(epoch, figures)

    return train_once(settings, data, folder=folder, report=keep, show_sheet=show)


def name_run(settings: TrainSettings, data: TrainingData) -> str:
    """Name a run by its model and the digest of what decides its result."""
    described = describe_settings(settings)
    for section in ("tracking", "out"):
        described.pop(section)
    content = json.dumps([described, data.digest], sort_keys=True)
    return f"{settings.model.name}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def describe_data(data: TrainingData) -> str:
    """Say in a line what is learned from."""
    counts = ", ".join(f"{len(examples)} {split}" for split, examples in data.splits.items())
    boxes = sum(len(example.boxes) for examples in data.splits.values() for example in examples)
    names = ", ".join(list(data.labels.names.values())[:10])
    return f"{counts} pictures, {boxes} boxes of {len(data.labels.names)} classes ({names})"


def describe_epoch(epoch: int, epochs: int, figures: dict[str, float]) -> str:
    """Say in a line how an epoch went.

    >>> describe_epoch(3, 60, {"loss": 1.25, "ap": 0.4, "ap50": 0.75, "ap75": 0.4})
    'epoch  3/60  loss 1.250  AP .400  AP50 .750'
    """
    words = [f"epoch {epoch:{len(str(epochs))}}/{epochs}", f"loss {figures['loss']:.3f}"]
    words += [f"{n.upper()} {figures[n]:.3f}".replace(" 0.", " .") for n in ("ap", "ap50") if n in figures]
    return "  ".join(words)


def _read_run_id(folder: Path) -> str | None:
    path = folder / _RUN_ID
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _write_run_id(folder: Path, run: TrackedRun) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _RUN_ID).write_text(run.run_id, encoding="utf-8")
