"""jobs/train.py as a user runs it: from drawn photos to a registered model that scores, also after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from detector.annotations.drawn_dataset import write_drawn_dataset
from detector.measurement.opening import open_model
from detector.settings import ModelSettings

PROJECT = Path(__file__).resolve().parents[2]
WORDS = (
    "--model.input_px", "64", "--model.levels", "3,4", "--model.pyramid_width", "16", "--model.backbone", "plain",
    "--fit.epochs", "4", "--fit.evaluate_every", "2", "--tracking.resamples", "100",
)  # fmt: skip


def run_job(folder, *words, **options):
    """Run the job on the drawn photos in ``folder``."""
    command = [sys.executable, str(PROJECT / "jobs/train.py"), "--data.root", str(folder / "photos")]
    command += ["--out", str(folder / "out"), *WORDS, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train once; give the folder and what the job said."""
    folder = tmp_path_factory.mktemp("train")
    write_drawn_dataset(folder / "photos", count=24, seed=3)
    done = run_job(folder, "--export.folder", str(folder / "package"))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads(done.stdout.splitlines()[-1]), done


def test_package_is_complete_and_scores(trained):
    """The copied package has every file, its manifest tells their digests, and it opens as scoring opens it."""
    folder, said, _ = trained
    package = folder / "package"
    names = {path.name for path in package.iterdir()}
    assert names == {
        "saved_model", "label_map.pbtxt", "model.weights.h5", "training.yaml", "metrics.json", "thresholds.json",
        "manifest.json",
    }  # fmt: skip
    manifest = json.loads((package / "manifest.json").read_text())
    assert set(manifest["files"]) >= {"saved_model/saved_model.pb", "label_map.pbtxt", "thresholds.json"}
    opened = open_model(ModelSettings(uri=str(package)))
    assert opened.digest == manifest["model_digest"]
    assert set(opened.labels.names.values()) == {"circle", "rectangle", "triangle", "star"}
    found = opened.predictor.predict([np.zeros((70, 90, 3), np.uint8)], [(70, 90)])
    assert len(found) == 1
    assert set(said["test"]) == {"ap", "ap50", "ap75"}


def test_pages_and_registry_know_the_run(trained):
    """The run's folder has the samples, what is found, and a page; the registry has version 1 as champion."""
    folder, said, done = trained
    [run] = (folder / "out").glob("detector-*")
    assert {"augmented_samples.jpg", "found_in_validation.jpg", "evaluation.html"} <= {
        p.name for p in run.iterdir()
    }
    assert said["model_uri"] == "models:/detector/1"
    assert said["promoted"]
    assert "there is no champion yet" in done.stdout
    uri = f"sqlite:///{folder / 'out' / 'mlflow.db'}"
    opened = open_model(ModelSettings(uri="models:/detector@champion", registry_uri=uri))
    assert (opened.name, opened.version) == ("detector", "1")


def test_same_command_again_trains_nothing(trained):
    """What is done stays done: the second call only measures and registers again, and compares."""
    folder, said, _ = trained
    began = time.monotonic()
    done = run_job(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    again = json.loads(done.stdout.splitlines()[-1])
    assert "epoch 1/4" not in done.stderr
    assert again["val"] == said["val"]
    assert again["model_uri"] == "models:/detector/2"
    assert not again["promoted"]
    assert "these images don't tell which is better" in done.stdout
    assert time.monotonic() > began


def test_killed_run_goes_on(trained, tmp_path):
    """Killed by -9 after the second epoch, the same command again: epochs 3 and 4 only, and the same figures."""
    folder, said, _ = trained
    (tmp_path / "photos").symlink_to(folder / "photos")
    command = [sys.executable, str(PROJECT / "jobs/train.py"), "--data.root", str(folder / "photos")]
    command += ["--out", str(tmp_path / "out"), *WORDS]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=PROJECT
    ) as job:
        for line in job.stderr:
            if line.startswith("epoch 2/4"):
                os.kill(job.pid, signal.SIGKILL)
                break
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, done.stderr[-3000:]
    epochs = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("epoch")]
    assert epochs in (["3/4", "4/4"], ["4/4"])
    resumed = json.loads(done.stdout.splitlines()[-1])
    for split in ("val", "test"):
        for name, figure in said[split].items():
            assert resumed[split][name] == pytest.approx(figure, abs=0.02), (split, name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fit.epoch", "3"), "fit.epoch"),
        (("--model.architecture", "retina_net"), "did you mean retinanet?"),
        (("--data.train", "0.9"), "sum to 1.2"),
    ],
)
def test_mistakes_are_refused_by_name(trained, words, message):
    """A typo, an unknown architecture, parts that don't sum to 1: exit code 2, nothing trained."""
    done = run_job(trained[0], *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "epoch 1/" not in done.stderr


def test_photos_without_annotations_are_refused(tmp_path):
    """A folder without any XML: exit code 2, and where to look."""
    write_drawn_dataset(tmp_path / "photos", count=3, seed=0)
    for path in (tmp_path / "photos").glob("*.xml"):
        path.unlink()
    done = run_job(tmp_path)
    assert done.returncode == 2
    assert "jobs/dataset.py check" in done.stderr
