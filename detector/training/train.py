"""What jobs/train.py does: data, one run or a search, the best model's release.

Owns the order and the folder of a run, whose name follows from settings and data, so that the same command
goes on where a killed one stopped. Refuses to print: what there is to say goes to ``tell``.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from detector.annotations.commands import Watch
from detector.evaluation.leaderboard import Leaderboard
from detector.training.devices import find_devices
from detector.training.experiment.experiments import open_experiment
from detector.training.experiment.runs import TrackedRun, describe_settings, start_run
from detector.training.families.registry import check_architecture
from detector.training.input.examples import TrainingData, load_training_data
from detector.training.plots import draw_curves
from detector.training.release import Release, release_model
from detector.training.search.search import run_search
from detector.training.train_settings import TrainSettings
from detector.training.training_run import TrainedModel, read_done, train_once

Tell = Callable[[str], None]
Report = Callable[[int, Mapping[str, float]], None]
_RUN_ID = "mlflow_run_id"
_FREE = (("data", "cache"), ("data", "workers"), ("export", "folder"))  # change no result
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class TrainingOutcome:
    """What was trained and released.

    ``folder`` is the run's, ``data`` what it learned from, ``settings`` those of the best model;
    ``leaderboard`` is a search's. ``keep(path)`` adds a file, such as a page, to the MLflow run.
    """

    folder: Path
    trained: TrainedModel
    release: Release
    data: TrainingData
    settings: TrainSettings
    leaderboard: Leaderboard | None
    keep: Callable[[Path], None]


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
        best, trained, leaderboard = _train_or_search(settings, data, folder, run, tell)
        release = release_model(trained, data, best, experiment, run)
    keep = partial(TrackedRun(experiment, run.run_id).log_artifact, folder="pages")
    return TrainingOutcome(folder, trained, release, data, best, leaderboard, keep)


def train_trial(settings: TrainSettings, *, folder: Path, report: Report, run: TrackedRun) -> TrainedModel:
    """Train one trial of a search, in its own process."""
    data = load_training_data(settings.data)
    return train_tracked(settings, data, folder=folder, run=run, report=report)


def train_tracked(
    settings: TrainSettings,
    data: TrainingData,
    *,
    folder: Path,
    run: TrackedRun,
    tell: Tell = print,
    report: Report = lambda _epoch, _figures: None,
) -> TrainedModel:
    """Train once, and keep settings, data, environment, pictures and each epoch's figures in an MLflow run.

    ``report`` is called after each epoch, behind the tracking; what it raises ends the run.
    """
    run.log_settings(settings)
    run.log_environment()
    run.log_data(settings.data.root.name, data.digest)

    def show(path: Path) -> None:
        run.log_artifact(path, "pictures")
        tell(f"{path.stem.replace('_', ' ')}: {path}")

    def keep(epoch: int, figures: dict[str, float]) -> None:
        run.log_metrics(figures, epoch)
        tell(describe_epoch(epoch, settings.fit.epochs, figures))
        report(epoch, figures)

    trained = train_once(settings, data, folder=folder, report=keep, show=show)
    run.log_figures({"curves": draw_curves(trained.history)})
    return trained


def _train_or_search(
    settings: TrainSettings, data: TrainingData, folder: Path, run: TrackedRun, tell: Tell
) -> tuple[TrainSettings, TrainedModel, Leaderboard | None]:
    if settings.search.method == "none":
        return settings, train_tracked(settings, data, folder=folder, run=run, tell=tell), None
    run.log_settings(settings)
    found = run_search(settings, folder=folder / "search", run=run, tell=tell)
    return found.best.settings, read_done(found.best.folder), found.leaderboard


def name_run(settings: TrainSettings, data: TrainingData) -> str:
    """Name a run by its model and the digest of what decides its result."""
    described = describe_settings(settings)
    for section, key in _FREE:
        described[section].pop(key, None)
    described = {name: value for name, value in described.items() if name not in {"tracking", "out"}}
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
