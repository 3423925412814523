"""A search from settings to the best trial and the leaderboard.

Owns what holds the parts together, and that one search works in a folder at a time. Refuses to look at the
test split: trials are compared on validation.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import SettingsError, TrainingError
from detector.evaluation.leaderboard import Leaderboard, LeaderboardRow, Status, rank_trials
from detector.training.experiment.environment import list_gpus
from detector.training.experiment.runs import TrackedRun
from detector.training.search.slots import build_slots
from detector.training.search.space import apply_values, read_space, show_value
from detector.training.search.study import Study, open_study
from detector.training.search.trial import EPOCHS, FIGURES, OUTCOME, RUN_ID
from detector.training.search.trials import ERROR, Tell, TrialRunner, locate_trial
from detector.training.train_settings import TrainSettings

DEFAULT_WORK = "detector.training.train:train_trial"
_LEADERBOARD = "leaderboard.json"
_STATUS: dict[str, Status] = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


@dataclass(frozen=True)
class BestTrial:
    """The best trial: its settings, whole; the folder it worked in, its package, and its MLflow run."""

    number: int
    settings: TrainSettings
    folder: Path
    package: Path
    metric: float
    run_id: str


@dataclass(frozen=True)
class SearchOutcome:
    """What a search found."""

    best: BestTrial
    leaderboard: Leaderboard


def run_search(
    settings: TrainSettings, *, folder: Path, run: TrackedRun, tell: Tell, work: str = DEFAULT_WORK
) -> SearchOutcome:
    """Try what ``settings.search`` says, each trial in a process and an MLflow run below ``run``.

    ``folder`` keeps the study and the trials: called again after a kill, the search goes on there, and once
    it's done gives its outcome. ``work`` names a ``TrialWork`` as module:function. Raises ``SettingsError``
    before anything starts, and ``TrainingError`` where no trial came to an end.
    """
    space = read_space(settings)
    with hold_search(folder):
        study = open_study(settings, space, folder)
        slots = build_slots(list_gpus(), settings.search.parallel)
        tell(f"search: {study.count_planned()} trials, {len(slots)} at once, in {folder}")
        TrialRunner(settings, study, folder, run, work=work, tell=tell).run_all(slots)
        leaderboard = build_leaderboard(settings, study)
    (folder / _LEADERBOARD).write_text(leaderboard.to_json(indent=1), encoding="utf-8")
    run.log_artifact(folder / _LEADERBOARD)
    return SearchOutcome(_find_best(settings, study, leaderboard, folder), leaderboard)


def build_leaderboard(settings: TrainSettings, study: Study) -> Leaderboard:
    """Put the trials of a study side by side, also while it goes on."""
    rows = [_build_row(study, trial) for trial in study.list_trials()]
    return rank_trials(settings.fit.metric, rows, study.count_planned())


@contextmanager
def hold_search(folder: Path) -> Iterator[None]:
    """Be the only search in a folder; raises ``SettingsError`` where another one is at work."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"{folder}: another search is at work there: wait, or give another out"
            ) from error
        yield


def _build_row(study: Study, trial: Any) -> LeaderboardRow:  # noqa: ANN401 (Optuna's)
    kept = trial.user_attrs
    figures, outcome = kept.get(FIGURES, {}), kept.get(OUTCOME, {})
    curve = tuple(sorted(trial.intermediate_values.items()))
    seconds = outcome.get("seconds") or (trial.duration.total_seconds() if trial.duration else None)
    return LeaderboardRow(
        trial=trial.number,
        settings={key: show_value(value) for key, value in study.read_values(trial).items()},
        status=_STATUS[trial.state.name],
        metric=trial.value
        if trial.state.name == "COMPLETE"
        else max((value for _, value in curve), default=None),
        ap=figures.get("ap"),
        ap50=figures.get("ap50"),
        ap75=figures.get("ap75"),
        minutes=None if seconds is None else seconds / 60,
        epochs=kept.get(EPOCHS),
        best_epoch=outcome.get("best_epoch"),
        size_bytes=outcome.get("size_bytes"),
        images_per_second=figures.get("images_per_second"),
        curve=curve,
        error=kept.get(ERROR, ""),
    )


def _find_best(settings: TrainSettings, study: Study, leaderboard: Leaderboard, folder: Path) -> BestTrial:
    row = leaderboard.best
    if row is None or row.metric is None:
        errors = [row.error for row in leaderboard.rows if row.error]
        raise TrainingError(
            f"none of {len(leaderboard.rows)} trials came to an end"
            + (f"; the first error: {errors[0]}" if errors else "")
            + f" (logs in {folder / 'trials'})"
        )
    trial = study.read_trial(row.trial)
    return BestTrial(
        number=row.trial,
        settings=apply_values(settings, study.read_values(trial)),
        folder=locate_trial(folder, row.trial),
        package=Path(trial.user_attrs[OUTCOME]["package"]),
        metric=row.metric,
        run_id=trial.user_attrs[RUN_ID],
    )
