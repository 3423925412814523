"""A model and pictures for whole runs: the demo's own, small and quick."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from detector.annotations.shapes import draw_picture
from detector.settings import ScoreSettings, TableSettings
from detector.tables.store import open_store

PROJECT = Path(__file__).resolve().parents[2]
DEMO_MODEL = PROJECT / "conf" / "demo" / "saved_model"
DEMO_LABELS = PROJECT / "conf" / "demo" / "label_map.pbtxt"


@pytest.fixture(scope="session")
def empty_tables(spark, tmp_path_factory):
    """Give a folder of empty tables, to be copied: making them takes longer than scoring ten pictures."""
    root = tmp_path_factory.mktemp("empty") / "tables"
    open_store(spark, TableSettings(root=str(root))).create()
    return root


@pytest.fixture
def make_settings(tmp_path, empty_tables):
    """Give a maker of settings for a run over tmp_path/photos into tmp_path/tables."""
    shutil.copytree(empty_tables, tmp_path / "tables")

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


@pytest.fixture(scope="session")
def drawn_jpegs():
    """Give the bytes of eight drawn pictures that the demo's model finds shapes in."""
    encoded = []
    for seed in range(8):
        pixels, _, _ = draw_picture(np.random.default_rng(1000 + seed), height_px=96, width_px=128)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        encoded.append(file.getvalue())
    return encoded


@pytest.fixture
def photos(tmp_path, drawn_jpegs):
    """Give a maker of pictures: photo00000.jpg and so on, of eight contents, below tmp_path/photos."""
    folder = tmp_path / "photos"
    folder.mkdir()

    def make(numbers):
        for number in numbers:
            (folder / f"photo{number:05d}.jpg").write_bytes(drawn_jpegs[number % len(drawn_jpegs)])
        return folder

    return make


def write_clip(path, pictures, *, rate=10, gop=5):
    """Encode pictures as H.264, a keyframe every ``gop`` frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "15", "g": str(gop), "sc_threshold": "0"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


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
