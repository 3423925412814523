"""Searches over fake work in real processes, with an experiment in a sqlite file."""

from pathlib import Path

import pytest

from detector.training.experiment.experiments import open_experiment
from detector.training.train_settings import TrainSettings

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def make_settings():
    """Give a maker of settings of a search: its space, its folder, and what else differs."""

    def make(space, out="out", *, fit=None, **search):
        return TrainSettings(
            data={"root": "photos"},
            model={"name": "birds"},
            fit={"epochs": 4} | (fit or {}),
            search={"method": "grid", "space": space} | search,
            out=out,
        )

    return make


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Give the folder of this module's searches and of their experiment."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def experiment(out, make_settings):
    """Give the experiment that the settings name."""
    settings = make_settings({"fit.seed": [1]}, out)
    return open_experiment(settings.tracking, settings.out, settings.model.name)


@pytest.fixture
def fake_work(monkeypatch):
    """Let processes find the fake work, without any network; give its name."""
    monkeypatch.setenv("PYTHONPATH", f"{HERE / 'offline'}:{HERE}:{HERE.parents[2]}")
    monkeypatch.syspath_prepend(str(HERE))
    return "fake_work:work"
