"""A model and pictures for whole runs: the demo's own, small and quick."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.settings import ScoreSettings

PROJECT = Path(__file__).resolve().parents[2]
DEMO_MODEL = PROJECT / "conf" / "demo" / "saved_model"
DEMO_LABELS = PROJECT / "conf" / "demo" / "label_map.pbtxt"


@pytest.fixture
def make_settings(tmp_path):
    """Give a maker of settings for a run over tmp_path/photos into tmp_path/tables."""

    def make(**sections):
        whole = {
            "media": {"paths": [str(tmp_path / "photos")]},
            "model": {"uri": str(DEMO_MODEL), "labels": str(DEMO_LABELS), "name": "demo"},
            "tables": {"root": str(tmp_path / "tables")},
            "run": {},
        }
        for name, section in sections.items():
            whole[name] = whole.get(name, {}) | section
        return ScoreSettings(**whole)

    return make


@pytest.fixture
def photos(tmp_path):
    """Give a maker of pictures: plain JPEGs of one size, each of its own grey."""
    folder = tmp_path / "photos"
    folder.mkdir()

    def make(numbers, prefix="photo"):
        for number in numbers:
            pixels = np.full((48, 64, 3), number % 256, np.uint8)
            Image.fromarray(pixels).save(folder / f"{prefix}{number:05d}.jpg")
        return folder

    return make


def run_job(*arguments, timeout=300, env=None):
    """Run jobs/score.py as a user does; give the exit code, the last line as JSON, and standard error."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "jobs" / "score.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=env,
    )
    lines = done.stdout.strip().splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else None, done.stderr
