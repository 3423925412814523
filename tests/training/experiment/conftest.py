"""An experiment in a sqlite file, made once; packages small enough to register."""

import shutil
from pathlib import Path

import pytest

from detector.training.experiment.experiments import open_experiment
from detector.training.train_settings import TrackingSettings

DEMO = Path(__file__).resolve().parents[3] / "conf" / "demo"


@pytest.fixture(scope="session")
def experiment(tmp_path_factory):
    """Give an experiment whose runs lie in a folder of this session."""
    return open_experiment(TrackingSettings(), tmp_path_factory.mktemp("tracking"), "birds")


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """Give a package's folder with the demo's model and its label map."""
    folder = tmp_path_factory.mktemp("any") / "package"
    shutil.copytree(DEMO / "saved_model", folder / "saved_model")
    shutil.copy(DEMO / "label_map.pbtxt", folder)
    (folder / "thresholds.json").write_text("{}")
    return folder
