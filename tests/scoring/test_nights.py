"""Three nights over a folder that lives: each final version is scored once, and only as what it was listed."""

import hashlib
import os
import threading
import time
from datetime import timedelta

import deltalake
import pytest

from detector.media.filesystem import EPOCH
from detector.scoring import job
from detector.scoring.job import score

pytestmark = pytest.mark.spark
EIGHT_DAYS_S = 8 * 24 * 3600


def put(path, content, *, days_old=0):
    """Write a file whole, as old as told."""
    path.write_bytes(content)
    at = time.time() - days_old * 24 * 3600
    os.utime(path, (at, at))


def identify(path):
    """Give a file's version as the tables name it: uri, size, time in microseconds."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns // 1000


def read_rows(tables):
    """Read scores: (version, status, error_class, content_sha256) of each row, by another reader than Spark."""
    rows = deltalake.DeltaTable(str(tables / "scores")).to_pyarrow_table().to_pylist()
    return [
        (
            (row["media_uri"], row["size_bytes"], (row["modified_at"] - EPOCH) // timedelta(microseconds=1)),
            row["status"],
            row["error_class"],
            row["content_sha256"],
        )
        for row in rows
    ]


class Growing:
    """A file that another program writes, a few bytes at a time, until it's told to finish."""

    def __init__(self, path, content):
        self._path, self._content, self._end = path, content, threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._path.touch()
        self._thread.start()

    def _write(self):
        with self._path.open("ab", buffering=0) as file:
            for place in range(len(self._content) - 1):
                file.write(self._content[place : place + 1])
                if self._end.wait(0.02):
                    break
            file.write(self._content[place + 1 :])

    def finish(self):
        """Let it be complete."""
        self._end.set()
        self._thread.join()


def test_each_final_version_is_scored_once(spark, make_settings, photos, drawn_jpegs, tmp_path, monkeypatch):
    """Late, replaced, empty at first, growing, changed and gone between listing and reading."""
    folder = photos(range(4))
    settings, plan = make_settings(), job.make_plan
    (folder / "copied_slowly.jpg").touch()
    put(folder / "half.jpg", drawn_jpegs[0][:900])
    put(folder / "changed.jpg", drawn_jpegs[1])
    put(folder / "gone.jpg", drawn_jpegs[2])
    put(folder / "longer.jpg", drawn_jpegs[3])
    growing = Growing(folder / "growing.jpg", drawn_jpegs[4])
    listed_as = {name: identify(folder / name) for name in ("changed.jpg", "gone.jpg", "longer.jpg")}

    def change_then_plan(*arguments, **named):
        other = drawn_jpegs[5]
        put(
            folder / "changed.jpg", other[: len(drawn_jpegs[1])].ljust(len(drawn_jpegs[1]), b"\0"), days_old=9
        )
        (folder / "gone.jpg").unlink()
        with (folder / "longer.jpg").open("ab") as file:
            file.write(b"\0")
        return plan(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(job, "make_plan", change_then_plan)
        first = score(spark, settings)
    assert (first.listed, first.scored, first.failed) == (10, 4, 6)
    found = {
        version: (status, error_class) for version, status, error_class, _ in read_rows(tmp_path / "tables")
    }
    assert found[listed_as["changed.jpg"]] == ("failed", "MediaChanged")
    assert found[listed_as["longer.jpg"]] == ("failed", "MediaChanged")
    assert found[listed_as["gone.jpg"]] == ("failed", "MediaNotFound")

    growing.finish()
    put(folder / "copied_slowly.jpg", drawn_jpegs[6])
    put(folder / "half.jpg", drawn_jpegs[0])
    put(folder / "photo00000.jpg", drawn_jpegs[7])
    put(folder / "photo00001.jpg", drawn_jpegs[1], days_old=30)  # the same bytes, older: another version
    put(folder / "changed.jpg", drawn_jpegs[5])
    put(folder / "late.jpg", drawn_jpegs[3], days_old=8)
    second = score(spark, settings)
    assert (second.listed, second.scored, second.failed) == (10, 8, 0)

    put(folder / "later.jpg", drawn_jpegs[2], days_old=8)
    third = score(spark, settings)
    assert (third.scored, third.failed, third.skipped_reasons) == (1, 0, {"already_scored": 10})

    rows = read_rows(tmp_path / "tables")
    scored = [(version, sha256) for version, status, _, sha256 in rows if status == "scored"]
    final = {identify(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert len(scored) == len(dict(scored)) == 13
    assert final.items() <= dict(scored).items()
    boxes = deltalake.DeltaTable(str(tmp_path / "tables" / "detections")).to_pyarrow_table().num_rows
    assert boxes == first.detections + second.detections + third.detections
