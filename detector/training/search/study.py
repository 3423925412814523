"""A search's memory: Optuna's study in a sqlite file, so that a search goes on after any kill.

Owns the study's settings, its trials' order, and what is done with trials that a kill left running: they are
run again with the same values under the same number, and finished ones never. Refuses to go on with a search
of other settings. Starts no trial itself.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from detector.errors import SettingsError
from detector.training.experiment.runs import describe_settings, flatten
from detector.training.search.space import SearchSpace
from detector.training.train_settings import SearchSettings, TrainSettings

STUDY_NAME = "search"
_STUDY_FILE = "study.db"
_BUSY_S = 60  # how long a process waits for another one's write
_MOST_REPEATS = 100  # draws of values that were tried before, after which nothing new is expected
_SETTINGS, _REPEATS = "settings", "repeats"
# May differ when a search goes on.
_FREE = (
    "search.trials",
    "search.timeout_s",
    "search.parallel",
    "tracking.",
    "data.cache",
    "data.workers",
    "out",
)


class Study:
    """A study that is open: which trial comes next, and what became of all."""

    def __init__(self, settings: TrainSettings, space: SearchSpace, study: Any) -> None:  # noqa: ANN401
        self.optuna_study = study
        self._search, self._space, self._settings = settings.search, space, settings
        self._distributions = space.build_distributions()

    def list_trials(self) -> list[Any]:
        """List Optuna's trials by number, without those that would have repeated another."""
        trials = self.optuna_study.get_trials(deepcopy=False)
        return [trial for trial in trials if _REPEATS not in trial.user_attrs]

    def read_trial(self, number: int) -> Any:  # noqa: ANN401
        """Give Optuna's trial of a number as it is now."""
        return next(trial for trial in self.list_trials() if trial.number == number)

    def fail(self, number: int, why: Mapping[str, Any]) -> None:
        """Close a trial as failed, for a reason that it keeps."""
        from optuna.trial import Trial

        trial = Trial(self.optuna_study, self.read_trial(number)._trial_id)  # noqa: SLF001
        for key, value in why.items():
            trial.set_user_attr(key, value)
        self.optuna_study.tell(trial, state=_state("FAIL"))

    def iterate(self) -> Iterator[Any]:
        """Give Optuna's trials to run, one when it's asked for: first those that a kill left running."""
        for frozen in [trial for trial in self.list_trials() if trial.state.name == "RUNNING"]:
            trial = self._resume(frozen)
            if not self._repeats(trial):
                yield trial
        while len(self.list_trials()) < self.count_planned():
            fresh = self._ask_new()
            if fresh is None:
                return
            yield fresh

    def count_planned(self) -> int:
        """Count the trials that the whole search has: no more than there are different ones."""
        if self._search.method == "grid":
            return len(self._space.list_grid())
        return min(self._search.trials, self._space.count() or self._search.trials)

    def read_values(self, trial: Any) -> dict[str, Any]:  # noqa: ANN401
        """Give a trial's values by key."""
        return self._space.decode(trial.params)

    def _ask_new(self) -> Any:  # noqa: ANN401 (Optuna's trial, or None)
        for _ in range(_MOST_REPEATS):
            self._choose_sampler(len(self.optuna_study.get_trials(deepcopy=False)))
            trial = self._suggest(self.optuna_study.ask())
            if not self._repeats(trial):
                return trial
        return None

    def _resume(self, frozen: Any) -> Any:  # noqa: ANN401
        from optuna.trial import Trial

        self._choose_sampler(frozen.number)
        return self._suggest(Trial(self.optuna_study, frozen._trial_id))  # noqa: SLF001 (there is no other way)

    def _suggest(self, trial: Any) -> Any:  # noqa: ANN401
        # Values that the trial has already are given again, not drawn.
        for key, distribution in self._distributions.items():
            trial._suggest(key, distribution)  # noqa: SLF001 (what all of Optuna's suggest functions call)
        return trial

    def _repeats(self, trial: Any) -> bool:  # noqa: ANN401
        """Tell whether an earlier trial had the same values, and close the trial if so."""
        earlier = [other for other in self.list_trials() if other.number < trial.number]
        equal = next((other for other in earlier if other.params == trial.params), None)
        if equal is None:
            return False
        trial.set_user_attr(_REPEATS, equal.number)
        self.optuna_study.tell(trial, state=_state("FAIL"))
        return True

    def _choose_sampler(self, number: int) -> None:
        if self._search.method == "grid":
            values = self._space.list_grid()[number]  # so a trial's number is its place in the grid
            self.optuna_study.sampler = build_fixed_sampler(self._space.encode(values))
        else:
            self.optuna_study.sampler = build_sampler(self._search, number)


def open_study(settings: TrainSettings, space: SearchSpace, folder: Path) -> Study:
    """Open the study in ``folder``, and begin it where there is none.

    Raises ``SettingsError`` where the folder holds a search of other settings.
    """
    import optuna

    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=open_storage(folder),
        study_name=STUDY_NAME,
        direction="maximize",
        load_if_exists=True,
    )
    _check_same(study, settings, folder)
    return Study(settings, space, study)


def open_storage(folder: Path) -> Any:  # noqa: ANN401 (Optuna's)
    """Open the file that all processes of a search share."""
    from optuna.storages import RDBStorage

    file = (folder / _STUDY_FILE).absolute()
    return RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": _BUSY_S}})


def build_sampler(search: SearchSettings, number: int) -> Any:  # noqa: ANN401
    """Build TPE for the trial of a number: random values first, for a third of the trials and ten at most.

    Seeded by the number, too: a search that goes on draws what it would have drawn undisturbed, instead of
    its first values again.
    """
    from optuna.samplers import TPESampler

    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    startup = max(1, min(10, search.trials // 3))
    return TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)


def build_fixed_sampler(params: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Build a sampler that gives these parameters."""
    from optuna.samplers import RandomSampler

    class FixedSampler(RandomSampler):
        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:  # noqa: ANN401, ARG002
            return params[param_name]

    return FixedSampler()


def build_pruner(settings: TrainSettings) -> Any:  # noqa: ANN401
    """Build the pruner of the settings; its steps are epochs.

    ``median``: after three whole trials, and a tenth of the epochs, a trial whose best is below the median
    of the others at the same epoch goes. ``halving``: after a ninth and a third of the epochs, a trial goes
    that isn't in the best third of those that came so far (asynchronous successive halving, Li et al.,
    arXiv 1810.05934): it stops more, and needs many trials.
    """
    from optuna import pruners

    epochs = settings.fit.epochs
    if settings.search.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=max(1, epochs // 10) + 1)
    if settings.search.pruner == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // 9), reduction_factor=3)
    return pruners.NopPruner()


def _check_same(study: Any, settings: TrainSettings, folder: Path) -> None:  # noqa: ANN401
    flat = flatten(describe_settings(settings))
    described = {
        key: json.loads(json.dumps(value)) for key, value in flat.items() if not key.startswith(_FREE)
    }
    earlier: Mapping[str, Any] | None = study.user_attrs.get(_SETTINGS)
    if earlier is None:
        study.set_user_attr(_SETTINGS, described)
        return
    changed = [key for key in {**earlier, **described} if earlier.get(key) != described.get(key)]
    if changed:
        raise SettingsError(
            f"{folder} holds a search whose settings were others ({', '.join(changed)}): give another out, "
            "take the old settings to go on, or remove the folder"
        )


def _state(name: str) -> Any:  # noqa: ANN401
    from optuna.trial import TrialState

    return TrialState[name]
