"""One trial in a process of its own: trained, reported to the study while it goes on, stopped when it's bad.

Owns the child's side of a search (``python -m detector.training.search.trial``). What there is to do comes
as one line of JSON on standard input, which stays open: its end tells that the parent died, and this process
ends with it, however that happened. The process gives back its GPU's memory by ending.
"""

import fcntl
import importlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from detector.errors import TrainingError
from detector.models.package import compute_size
from detector.models.signature import locate_model
from detector.redaction import make_safe
from detector.training.experiment.experiments import open_experiment
from detector.training.experiment.runs import RunStoppedError, TrackedRun, start_run
from detector.training.search.study import STUDY_NAME, build_pruner, open_storage
from detector.training.train_settings import TrainSettings

RUN_ID, FIGURES, OUTCOME, EPOCHS = "run_id", "figures", "outcome", "epochs"  # what a trial keeps
_LOCK = ".lock"
_GRACE_S = 10  # to end in order after the parent's death


class Report(Protocol):
    """What a trial calls after each epoch."""

    def __call__(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Take an epoch's figures; raises ``RunStoppedError`` to stop the trial."""


class TrialResult(Protocol):
    """What a trial gives: the package's folder, its best figure on validation and when it was reached."""

    package: Path
    metric: float
    best_epoch: int
    seconds: float


class TrialWork(Protocol):
    """A function that trains; a module's function of this form is named as ``module:function``.

    Called again with the same folder after a kill, it goes on there or begins again.
    """

    def __call__(
        self, settings: TrainSettings, *, folder: Path, report: Report, run: TrackedRun
    ) -> TrialResult:
        """Train by the settings into ``folder``; ``run`` is the trial's MLflow run, for the work to fill."""


@dataclass(frozen=True)
class TrialTask:
    """What a child is told; ``settings`` are whole, with the trial's ``values`` in them."""

    settings: dict[str, Any]
    values: dict[str, Any]
    study_folder: str
    trial_id: int
    number: int
    folder: str
    work: str
    pruner_settings: dict[str, Any]
    experiment: str
    parent_run: str

    def to_line(self) -> bytes:
        """Write it as a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Reporter:
    """A trial's reports on their way to the study."""

    def __init__(self, trial: Any, metric: str, known: Mapping[int, float]) -> None:  # noqa: ANN401
        self._trial, self._metric = trial, metric
        self._known = dict(known)
        self._best = max(known.values(), default=-math.inf)

    def __call__(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Keep an epoch's figure, where it was measured; stop the trial when the pruner says so."""
        value = figures.get(self._metric)
        if value is None or epoch in self._known:
            return
        self._known[epoch] = float(value)
        if value > self._best:
            self._best = float(value)
            kept = {name: float(figure) for name, figure in figures.items() if math.isfinite(figure)}
            self._trial.set_user_attr(FIGURES, kept)
        self._trial.set_user_attr(EPOCHS, epoch)
        self._trial.report(float(value), epoch)
        if self._trial.should_prune():
            raise RunStoppedError(f"epoch {epoch}: {self._metric} {value:.3f} is behind the other trials")


def run_trial(task: TrialTask) -> None:
    """Train one trial and tell the study what became of it; a trial that has ended is left alone."""
    import optuna
    from optuna.trial import Trial, TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = TrainSettings(**task.settings)
    pruner = build_pruner(TrainSettings(**task.pruner_settings))
    study = optuna.load_study(
        study_name=STUDY_NAME, storage=open_storage(Path(task.study_folder)), pruner=pruner
    )
    frozen = next(trial for trial in study.get_trials() if trial.number == task.number)
    if frozen.state.is_finished():
        return
    trial = Trial(study, task.trial_id)
    try:
        result = _train(task, settings, trial, frozen)
    except RunStoppedError as stopped:
        print(stopped, flush=True)  # noqa: T201 (into the trial's log)
        study.tell(trial, state=TrialState.PRUNED)
        return
    trial.set_user_attr(OUTCOME, _describe(result))
    study.tell(trial, float(result.metric))


def _train(task: TrialTask, settings: TrainSettings, trial: Any, frozen: Any) -> TrialResult:  # noqa: ANN401
    module, _, function = task.work.partition(":")
    work: TrialWork = getattr(importlib.import_module(module), function)
    experiment = open_experiment(settings.tracking, settings.out, task.experiment)
    reporter = Reporter(trial, settings.fit.metric, frozen.intermediate_values)
    name, resume = f"trial {task.number}", frozen.user_attrs.get(RUN_ID)
    with start_run(experiment, name, task.values, parent=task.parent_run, resume=resume) as run:
        trial.set_user_attr(RUN_ID, run.run_id)
        result = work(settings, folder=Path(task.folder), report=reporter, run=run)
        if not math.isfinite(result.metric):
            raise TrainingError(
                f"{settings.fit.metric} is {result.metric}: validation has no object that counts"
            )
        run.log_metrics({f"best/{settings.fit.metric}": result.metric}, result.best_epoch)
    return result


def _describe(result: TrialResult) -> dict[str, Any]:
    return {
        "package": str(result.package),
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
        "size_bytes": compute_size(locate_model(result.package)),
    }


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Be the only process in a trial's folder; wait until an orphan of an earlier search has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _follow_parent(descriptor: int) -> None:
    """Block until the parent's end of standard input closes, then end this process and all it started."""
    os.read(descriptor, 1)  # not by sys.stdin, whose lock would be held when this process ends by itself
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _end_in_order(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def main() -> int:
    """Run the trial that standard input tells; 0 when the study knows how it ended."""
    signal.signal(signal.SIGTERM, _end_in_order)
    task = TrialTask(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_follow_parent, args=(sys.stdin.fileno(),), daemon=True).start()
    try:
        with _hold(Path(task.folder)):
            run_trial(task)
    except Exception as error:  # noqa: BLE001 (whatever the work raises is the trial's failure)
        import traceback

        known = [task.settings, task.pruner_settings]
        print(make_safe(traceback.format_exc(), known), file=sys.stderr)  # noqa: T201 (the trial's log)
        words = " ".join(make_safe(error, known).split())
        print(f"{type(error).__name__}: {words}", file=sys.stderr, flush=True)  # noqa: T201 (the log's last line)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
