"""A trial's own side, in this process: what it reports, when it stops, what it leaves to be read."""

import pytest

from detector.training.experiment.environment import Gpu
from detector.training.experiment.runs import RunStoppedError, start_run
from detector.training.search.slots import build_slots
from detector.training.search.space import apply_values, read_space
from detector.training.search.study import open_study
from detector.training.search.trial import FIGURES, RUN_ID, Reporter, TrialTask, run_trial


class FakeTrial:
    """A trial that should be pruned after its third report."""

    def __init__(self):
        self.reports, self.kept = [], {}

    def report(self, value, step):
        """Keep a report."""
        self.reports.append((step, value))

    def should_prune(self):
        """Tell the pruner's mind."""
        return len(self.reports) == 3

    def set_user_attr(self, name, value):
        """Keep a word."""
        self.kept[name] = value


def test_reports_go_to_the_study_until_it_stops_them():
    """Epochs without a measurement aren't reported; the figures of the best one are kept; then the trial ends."""
    trial = FakeTrial()
    report = Reporter(trial, "ap50", {})
    report(1, {"loss": 3.0, "ap50": 0.2, "ap": 0.1})
    report(2, {"loss": 2.0})
    report(3, {"loss": 1.0, "ap50": 0.5, "ap": 0.4})
    with pytest.raises(RunStoppedError, match=r"epoch 4: ap50 0\.300 is behind"):
        report(4, {"loss": 1.0, "ap50": 0.3, "ap": 0.2})
    assert trial.reports == [(1, 0.2), (3, 0.5), (4, 0.3)]
    assert trial.kept[FIGURES] == {"loss": 1.0, "ap50": 0.5, "ap": 0.4}


def test_epochs_known_from_before_a_kill_are_not_reported_again():
    """A trial that goes on from its beginning reports what is new."""
    trial = FakeTrial()
    report = Reporter(trial, "ap50", {1: 0.2, 2: 0.4})
    for epoch in (1, 2, 3):
        report(epoch, {"ap50": 0.2 * epoch})
    assert trial.reports == [(3, pytest.approx(0.6))]


def test_bad_trial_is_pruned_and_its_run_killed(make_settings, out, experiment, fake_work):
    """Behind three whole trials at its second epoch: PRUNED in the study, KILLED in MLflow; ended, it stays."""
    settings = make_settings({"fit.learning_rate": [0.9, 0.8, 0.7, 0.1]}, out)
    folder = out / "pruned"
    study = open_study(settings, read_space(settings), folder)
    with start_run(experiment, "parent") as parent:
        for trial in study.iterate():
            if trial.number < 3:
                for epoch in range(1, 5):
                    trial.report(trial.params["fit.learning_rate"] * epoch / 4, epoch)
                study.optuna_study.tell(trial, trial.params["fit.learning_rate"])
                continue
            task = build_task(settings, study, trial, folder, parent)
            run_trial(task)
    ended = study.read_trial(3)
    assert (ended.state.name, ended.intermediate_values) == ("PRUNED", {1: 0.025, 2: 0.05})
    assert experiment.client.get_run(ended.user_attrs[RUN_ID]).info.status == "KILLED"
    run_trial(task)
    assert study.read_trial(3) == ended


def build_task(settings, study, trial, folder, parent):
    """Build what the parent would tell a child."""
    values = study.read_values(trial)
    whole = settings.model_dump(mode="json")
    return TrialTask(
        settings=apply_values(settings, values).model_dump(mode="json"),
        values=values,
        study_folder=str(folder),
        trial_id=trial._trial_id,
        number=trial.number,
        folder=str(folder / "trials" / "0003"),
        work="fake_work:work",
        pruner_settings=whole,
        experiment="birds",
        parent_run=parent.run_id,
    )


@pytest.mark.parametrize(
    ("gpus", "parallel", "slots"),
    [
        ([], None, [{}]),
        ([], 2, [{}, {}]),
        (["GPU-a", "GPU-b"], None, ["GPU-a", "GPU-b"]),
        (["GPU-a"], 2, ["GPU-a"] * 2),
    ],
)
def test_each_slot_has_a_gpu(gpus, parallel, slots):
    """One trial a GPU unless the settings say otherwise; without GPUs the environment stays."""
    built = build_slots([Gpu(str(n), uuid, "card") for n, uuid in enumerate(gpus)], parallel)
    expected = [slot if isinstance(slot, dict) else {"CUDA_VISIBLE_DEVICES": slot} for slot in slots]
    assert [slot.environment for slot in built] == expected
