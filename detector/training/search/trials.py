"""Trials at work: as many processes at once as there are slots, each trial's end told to the study.

Owns the loop. A trial that crashes is a failed trial and stops nothing; the search's own end, by any error or
Ctrl-C, ends its processes and leaves their trials to be gone on with.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from detector.errors import SettingsError
from detector.training.experiment.runs import TrackedRun
from detector.training.search.children import Child, close_child, describe_end, start_child, stop_children
from detector.training.search.slots import Slot
from detector.training.search.space import apply_values, describe_values
from detector.training.search.study import Study
from detector.training.search.trial import RUN_ID, TrialTask
from detector.training.train_settings import TrainSettings

ERROR = "error"
Tell = Callable[[str], None]
_POLL_S = 0.1


class TrialRunner:
    """The trials of one search."""

    def __init__(
        self, settings: TrainSettings, study: Study, folder: Path, run: TrackedRun, *, work: str, tell: Tell
    ) -> None:
        self._settings, self._study, self._folder = settings, study, folder
        self._run, self._work, self._tell = run, work, tell

    def run_all(self, slots: Sequence[Slot]) -> None:
        """Run every trial that is left; none begins after ``search.timeout_s``."""
        deadline = time.monotonic() + (self._settings.search.timeout_s or float("inf"))
        waiting = self._study.iterate()
        free, children = list(slots), list[Child]()
        try:
            while True:
                self._fill(waiting, free, children, deadline)
                if not children:
                    return
                time.sleep(_POLL_S)
                self._collect(free, children)
        finally:
            stop_children(children)

    def _fill(self, waiting: Iterator[Any], free: list[Slot], children: list[Child], deadline: float) -> None:
        while free and time.monotonic() < deadline:
            trial = next(waiting, None)
            if trial is None:
                return
            values = self._study.read_values(trial)
            self._tell(f"trial {trial.number} begins: {describe_values(values)}")
            try:
                task = self._build_task(trial, values)
            except SettingsError as error:
                self._fail(trial.number, str(error))
                continue
            children.append(start_child(task, free.pop(0)))

    def _collect(self, free: list[Slot], children: list[Child]) -> None:
        for child in [child for child in children if child.process.poll() is not None]:
            children.remove(child)
            close_child(child)
            free.append(child.slot)
            ended = self._study.read_trial(child.task.number)
            if ended.state.is_finished():
                self._tell(f"trial {ended.number} {_describe_end(ended)}")
            else:
                self._fail(ended.number, describe_end(child))

    def _fail(self, number: int, words: str) -> None:
        self._tell(f"trial {number} failed: {words}")
        run_id = self._study.read_trial(number).user_attrs.get(RUN_ID)
        self._study.fail(number, {ERROR: words})
        if run_id is not None:
            run = TrackedRun(self._run.experiment, run_id)
            run.set_tag("error", words)
            run.end("FAILED")

    def _build_task(self, trial: Any, values: dict[str, Any]) -> TrialTask:  # noqa: ANN401 (Optuna's)
        return TrialTask(
            settings=apply_values(self._settings, values).model_dump(mode="json"),
            values=values,
            study_folder=str(self._folder),
            trial_id=trial._trial_id,  # noqa: SLF001 (the study's own key)
            number=trial.number,
            folder=str(locate_trial(self._folder, trial.number)),
            work=self._work,
            pruner_settings=self._settings.model_dump(mode="json"),
            experiment=self._run.experiment.name,
            parent_run=self._run.run_id,
        )


def locate_trial(folder: Path, number: int) -> Path:
    """Give the folder of a trial in that of its search.

    >>> locate_trial(Path("search"), 7).as_posix()
    'search/trials/0007'
    """
    return folder / "trials" / f"{number:04d}"


def _describe_end(trial: Any) -> str:  # noqa: ANN401
    if trial.state.name == "COMPLETE":
        return f"done: {trial.value:.4f}"
    if trial.state.name == "PRUNED":
        return f"stopped early: {trial.value:.4f}" if trial.value is not None else "stopped early"
    return "failed"
