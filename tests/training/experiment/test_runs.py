"""Runs: parameters, figures, files, and the right end for each way to end."""

import pytest
import yaml

from detector.errors import TrainingError
from detector.training.experiment.runs import (
    MAX_VALUE_LENGTH,
    RunStoppedError,
    TrackedRun,
    shorten_value,
    start_run,
)
from detector.training.train_settings import TrainSettings


def read(experiment, run):
    """Read a run back."""
    return experiment.client.get_run(run.run_id)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (RunStoppedError("enough"), "KILLED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
        (ValueError("no boxes"), "FAILED"),
    ],
)
def test_end_is_told(experiment, error, status):
    """A run's status says how it ended; the error goes on to the caller."""
    if error is None:
        with start_run(experiment, "end") as run:
            pass
    else:
        with pytest.raises(type(error)), start_run(experiment, "end") as run:
            raise error
    kept = read(experiment, run)
    assert kept.info.status == status
    assert kept.data.tags.get("error") == ("ValueError: no boxes" if status == "FAILED" else None)


def test_many_params_and_long_ones_are_kept(experiment):
    """More than a request takes, and values too long for MLflow, which still tell apart what they came from."""
    params = {f"key{number}": number for number in range(250)} | {"a": "x" * 7000, "b": "x" * 6999 + "y"}
    with start_run(experiment, "params", params) as run:
        pass
    kept = read(experiment, run).data.params
    assert len(kept) == 252
    assert max(map(len, kept.values())) <= MAX_VALUE_LENGTH
    assert kept["a"] != kept["b"]


def test_short_value_stays():
    """What MLflow takes isn't touched."""
    assert shorten_value("x" * MAX_VALUE_LENGTH) == "x" * MAX_VALUE_LENGTH


def test_resumed_run_goes_on(experiment):
    """The same run, its figures by step, its first parameters; finished in the end."""
    with start_run(experiment, "one", {"seed": 1}) as run:
        run.log_metrics({"val/ap50": 0.25}, 1)
    run.end("FAILED")
    with start_run(experiment, "one", {"seed": 1, "more": 2}, resume=run.run_id) as again:
        again.log_metrics({"val/ap50": 0.5}, 2)
    history = experiment.client.get_metric_history(run.run_id, "val/ap50")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.5)]
    kept = read(experiment, run)
    assert (kept.info.status, kept.data.params) == ("FINISHED", {"seed": "1", "more": "2"})


def test_child_names_its_parent(experiment):
    """MLflow's own tag puts a run below another one."""
    with start_run(experiment, "search") as parent, start_run(experiment, "0", parent=parent.run_id) as child:
        pass
    assert read(experiment, child).data.tags["mlflow.parentRunId"] == parent.run_id


def test_settings_environment_and_data_are_kept(experiment, tmp_path):
    """The YAML file trains the same again and holds no password; versions, GPUs and the data's digest are tags."""
    settings = TrainSettings(data={"root": "photos"}, tracking={"uri": "http://me:secret@host/"})
    with start_run(experiment, "all") as run:
        run.log_settings(settings)
        run.log_environment()
        run.log_data("photos", "ab" * 32)
        (tmp_path / "note.txt").write_text("note")
        run.log_artifact(tmp_path / "note.txt", "notes")
    kept = read(experiment, run)
    place = kept.info.artifact_uri.removeprefix("file://")
    with open(f"{place}/settings.yaml") as file:  # noqa: PTH123
        text = file.read()
    assert TrainSettings(**yaml.safe_load(text)).fit == settings.fit
    assert "secret" not in text + str(kept.data.params)
    assert kept.data.params["fit.learning_rate"] == "0.001"
    assert kept.data.tags["data.digest"] == "ab" * 32
    assert kept.data.tags["environment.tensorflow"]
    assert kept.inputs.dataset_inputs[0].dataset.name == "photos"
    with open(f"{place}/notes/note.txt") as file:  # noqa: PTH123
        assert file.read() == "note"


def test_class_names_may_hold_anything(experiment):
    """Figures by class: what MLflow refuses in a name is replaced."""
    with start_run(experiment, "names") as run:
        run.log_metrics({"ap50/red cell (old)": 0.5, "ap50/Größe": 0.25})
    assert read(experiment, run).data.metrics == {"ap50/red cell _old_": 0.5, "ap50/Größe": 0.25}


def test_figure_is_kept_as_png(experiment):
    """A Matplotlib figure becomes a file of the run."""
    from matplotlib.figure import Figure

    with start_run(experiment, "figures") as run:
        run.log_figures({"curve": Figure()})
    assert [file.path for file in experiment.client.list_artifacts(run.run_id, "figures")] == [
        "figures/curve.png"
    ]


def test_what_cannot_be_kept_is_an_error(experiment):
    """A run that MLflow no longer has: the error names the run and the place."""
    with start_run(experiment, "gone") as run:
        pass
    experiment.client.delete_run(run.run_id)
    with pytest.raises(TrainingError, match=f"run {run.run_id}: figures can't be kept"):
        TrackedRun(experiment, run.run_id).log_metrics({"loss": 1})
