"""Files that crash a decoder, hang it or eat its memory: one failed row each, everything else scored."""

import os
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from .conftest import DEMO_LABELS, DEMO_MODEL, run_job, write_clip
from .poison import CRASHING, HUNGRY, LATER, SPINNING, poison, write_site

pytestmark = pytest.mark.own_spark


@pytest.fixture
def poisoned(tmp_path, photos):
    """Give a folder of 30 good pictures and a good clip, and of three bad pictures and two bad clips."""
    folder = photos(range(33))
    for number, mark in ((7, CRASHING), (15, SPINNING), (22, HUNGRY)):
        poison(folder / f"photo{number:05d}.jpg", mark)
    pictures = list(np.random.default_rng(0).integers(0, 255, (12, 64, 96, 3), np.uint8))
    for name in ("good.mp4", "crashing.mp4", "later.mp4"):
        write_clip(folder / name, pictures)
    poison(folder / "crashing.mp4", CRASHING)
    poison(folder / "later.mp4", LATER)
    return folder


def test_poison_is_its_own_file_s_row(tmp_path, poisoned):
    """No task fails; the reasons are named; a crash isn't tried again by the next run, a hang is."""
    env = os.environ | {"PYTHONPATH": str(write_site(tmp_path / "site"))}
    job = [
        *("--media.paths", poisoned, "--model.uri", DEMO_MODEL, "--model.labels", DEMO_LABELS),
        *("--tables.root", tmp_path / "tables", "--media.video.sample", "every_frame"),
        *("--run.decode_timeout_s", "4", "--run.decode_memory_bytes", str(400 * 1024**2)),
        *("--run.max_failed_fraction", "0.5", "--spark.master", "local[2]"),  # which never retries a task
    ]
    code, summary, errors = run_job(*job, env=env)
    assert (code, summary["listed"], summary["scored"], summary["failed"]) == (0, 36, 32, 4), errors
    rows = DeltaTable(tmp_path / "tables" / "scores").to_pyarrow_table().to_pylist()
    found = {Path(row["media_uri"]).name: (row["status"], row["error_class"]) for row in rows}
    assert {name: told for name, told in found.items() if told != ("scored", None)} == {
        "photo00007.jpg": ("failed", "DecoderCrashed"),
        "photo00015.jpg": ("failed", "DecoderTimedOut"),
        "photo00022.jpg": ("failed", "TooMuchMemory"),
        "crashing.mp4": ("failed", "DecoderCrashed"),
        "later.mp4": ("scored", "DecoderCrashed"),  # what came before is kept, as of any broken video
    }
    assert all("SIGSEGV" in row["error_message"] for row in rows if row["error_class"] == "DecoderCrashed")
    assert len(rows) == 36
    code, again, errors = run_job(*job)  # no poison tonight
    assert (code, again["scored"], again["failed"]) == (0, 1, 0), errors
