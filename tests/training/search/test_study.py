"""The study: which trial comes next, also after kills, and never one twice. Nothing is trained here."""

import pytest
from optuna.trial import TrialState

from detector.errors import SettingsError
from detector.training.search.space import read_space
from detector.training.search.study import build_pruner, open_study

RATES = {"fit.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "fit.epochs": [1, 2, 3]}


def open_in(folder, settings):
    """Open a search's study."""
    return open_study(settings, read_space(settings), folder)


def work_off(study, most=100):
    """Run trials whose value is their learning rate; leave the last one running, as a kill would."""
    values = []
    for trial in study.iterate():
        values.append(study.read_values(trial))
        if len(values) == most:
            break
        study.optuna_study.tell(trial, trial.params.get("fit.learning_rate", trial.params["fit.epochs"]))
    return values


@pytest.mark.parametrize("kills", [(1, 1, 3), (2, 4), (6,)])
def test_killed_search_draws_what_an_undisturbed_one_draws(make_settings, tmp_path, kills):
    """Killed while trials run: those come again under their number, the rest as if nothing had happened."""
    settings = make_settings(RATES, method="tpe", trials=8)
    expected = work_off(open_in(tmp_path / "whole", settings))
    drawn = []
    for most in kills:
        drawn += work_off(open_in(tmp_path / "killed", settings), most)[:-1]
    drawn += work_off(open_in(tmp_path / "killed", settings))
    assert drawn == expected
    assert len(expected) == 8
    states = {trial.state.name for trial in open_in(tmp_path / "killed", settings).list_trials()}
    assert states == {"COMPLETE"}


def test_grid_is_worked_off_in_order(make_settings, tmp_path):
    """Each combination once, over a kill; a search that is done has nothing left."""
    settings = make_settings({"fit.epochs": [3, 2, 1], "augment.scale": [[0.5, 2], [1, 1]]})
    space = read_space(settings)
    first = work_off(open_in(tmp_path, settings), 3)
    rest = work_off(open_in(tmp_path, settings))
    assert first[:2] + rest == space.list_grid()
    assert work_off(open_in(tmp_path, settings)) == []


def test_kill_between_two_values_of_a_trial(make_settings, tmp_path):
    """A trial that had only its first value gets the others now, the same ones."""
    settings = make_settings({"fit.epochs": [3, 2], "fit.batch_size": [8, 4]})
    study = open_in(tmp_path, settings)
    trial = study.optuna_study.ask()
    trial.suggest_categorical("fit.epochs", [3, 2])
    again = next(open_in(tmp_path, settings).iterate())
    assert again.number == trial.number
    assert set(again.params) == {"fit.epochs", "fit.batch_size"}


def test_no_values_are_tried_twice(make_settings, tmp_path):
    """Three possible trials, twenty wanted: TPE ends after the three, each once."""
    settings = make_settings({"fit.epochs": [1, 2, 3]}, method="tpe", trials=20)
    tried = work_off(open_in(tmp_path, settings))
    assert sorted(values["fit.epochs"] for values in tried) == [1, 2, 3]
    assert len(open_in(tmp_path, settings).list_trials()) == 3


def test_seed_decides_what_is_drawn(make_settings, tmp_path):
    """Another seed, other values; the same one, the same."""
    drawn = [
        work_off(open_in(tmp_path / name, make_settings(RATES, method="tpe", trials=3, seed=seed)))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_search_of_other_settings_is_refused(make_settings, tmp_path):
    """Trials of other settings can't be compared; more trials and more at once may be asked for."""
    open_in(tmp_path, make_settings(RATES, method="tpe", trials=3))
    with pytest.raises(SettingsError, match=r"others \(fit\.batch_size\)"):
        open_in(tmp_path, make_settings(RATES, method="tpe", trials=3, fit={"batch_size": 3}))
    open_in(tmp_path, make_settings(RATES, method="tpe", trials=30, parallel=2, timeout_s=5))


@pytest.mark.parametrize(
    ("pruner", "stopped"),
    [
        ("none", []),
        ("median", [(3, 2), (4, 2), (5, 2)]),
        ("halving", [(1, 2), (2, 2), (3, 2), (5, 2)]),
    ],
)
def test_pruners_stop_bad_trials(make_settings, tmp_path, pruner, stopped):
    """Trials of 18 epochs: which are stopped, and at which epoch.

    The median waits for three whole trials and looks from the second epoch on; then it stops what is below
    their middle one. Halving looks after two epochs (18 / 9) and stops what isn't in the best third so far.
    """
    settings = make_settings({"fit.epochs": [18]}, fit={"epochs": 18}, pruner=pruner)
    study = open_in(tmp_path, settings).optuna_study
    study.pruner = build_pruner(settings)
    found = []
    for good in (0.8, 0.7, 0.1, 0.6, 0.9 if pruner == "halving" else 0.2, 0.05):
        trial = study.ask()
        for epoch in range(1, 19):
            trial.report(good * epoch / 18, epoch)
            if trial.should_prune():
                found.append((trial.number, epoch))
                break
        is_stopped = found[-1:] == [(trial.number, epoch)]
        study.tell(trial, None if is_stopped else good, TrialState.PRUNED if is_stopped else None)
    assert found == stopped
