"""Experiments: a sqlite file by default, servers by address, errors without secrets."""

import os
import subprocess
import sys

import pytest

from detector.errors import SettingsError
from detector.training.experiment.experiments import open_experiment
from detector.training.train_settings import TrackingSettings

QUIET = """
import socket, sys
def refuse(*arguments, **named):
    asked.append(arguments); raise OSError("no network here")
asked = []
socket.getaddrinfo = refuse
socket.socket.connect = lambda self, address: refuse(address)
from pathlib import Path
from detector.training.experiment.experiments import open_experiment
from detector.training.experiment.runs import start_run
from detector.training.train_settings import TrackingSettings
with start_run(open_experiment(TrackingSettings(), Path(sys.argv[1]), "quiet"), "run") as run:
    run.log_metrics({"loss": 1.0})
import mlflow.telemetry
import time
time.sleep(1)
print(len(asked), mlflow.telemetry.get_telemetry_client())
"""
OF_TESTS = ("PYTEST_", "CI", "GITHUB_", "JENKINS", "MLFLOW_", "DO_NOT_TRACK", "BUILD")


def test_default_is_a_file_in_out(experiment):
    """The database and the artifacts' folder lie in out, whatever the working folder is."""
    kept = experiment.client.get_experiment(experiment.experiment_id)
    place = experiment.tracking_uri.removeprefix("sqlite:///").rpartition("/")[0]
    assert (kept.name, kept.artifact_location) == ("birds", f"file://{place}/mlartifacts")
    assert not os.path.exists("mlflow.db")  # noqa: PTH110 (MLflow's own default)


def test_opened_again_it_is_the_same(experiment, tmp_path):
    """A sqlite file by its address holds the experiment that was made before."""
    tracking = TrackingSettings(uri=experiment.tracking_uri, experiment="birds")
    assert open_experiment(tracking, tmp_path, "other").experiment_id == experiment.experiment_id


def test_deleted_experiment_is_refused(experiment, tmp_path):
    """MLflow keeps the name of a deleted experiment; the message says what to do."""
    tracking = TrackingSettings(uri=experiment.tracking_uri, experiment="gone")
    experiment.client.delete_experiment(open_experiment(tracking, tmp_path, "x").experiment_id)
    with pytest.raises(SettingsError, match="gone was deleted"):
        open_experiment(tracking, tmp_path, "x")


def test_server_away_is_named_without_its_password(monkeypatch, tmp_path):
    """An address with a password: the error names host and experiment, and not the password."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = TrackingSettings(uri="http://user:secret@127.0.0.1:9/x?token=hidden")
    with pytest.raises(SettingsError, match=r"http://127.0.0.1:9/x, experiment birds") as caught:
        open_experiment(tracking, tmp_path, "birds")
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nothing_is_asked_of_the_network(tmp_path):
    """In a process that MLflow doesn't take for a test: no telemetry client, no name looked up, no connection."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(OF_TESTS)}
    command = [sys.executable, "-c", QUIET, str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "0 None"
