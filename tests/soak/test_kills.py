"""kill -9 of the driver, an executor and a Python worker: a rerun makes the tables whole, nothing is there twice."""

import time

import deltalake
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from . import kill_rounds


@pytest.mark.own_spark
@pytest.mark.timeout(1200)
def test_killed_anywhere_a_rerun_gives_the_undisturbed_tables(tmp_path):
    """A worker, an executor and the driver of one run, at moments by a seed that is printed; `make soak` plays many rounds."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    (said,) = kill_rounds.play(tmp_path, rounds=1, seed=seed)
    assert all(said["killed"].values())
    assert len(said["exit_codes"]) > 1
    rows = deltalake.DeltaTable(str(tmp_path / "undisturbed" / "scores")).to_pyarrow_table().to_pylist()
    assert sorted(row["media_uri"].rpartition("/")[2] for row in rows if row["status"] == "failed") == [
        "cut.jpg", "empty.jpg",
    ]  # fmt: skip
    assert len(rows) == kill_rounds.PICTURES


def test_the_comparison_sees_a_loss_and_a_double(tmp_path):
    """A row less, a row more and a row twice are all told."""

    def write(name, rows):
        for table, key in (("scores", "score_id"), ("detections", "detection_id")):
            write_deltalake(str(tmp_path / name / table), pa.table({key: rows, "score": [0.5] * len(rows)}))

    write("undisturbed", ["a", "b"])
    write("alike", ["b", "a"])
    write("other", ["a", "c"])
    write("twice", ["a", "b", "b"])
    assert kill_rounds.compare(tmp_path / "alike", tmp_path / "undisturbed") == []
    differences = kill_rounds.compare(tmp_path / "other", tmp_path / "undisturbed")
    assert sorted(differences) == [
        "detections: b is missing", "detections: c is too many", "scores: b is missing", "scores: c is too many",
    ]  # fmt: skip
    with pytest.raises(AssertionError, match="1 rows twice"):
        kill_rounds.compare(tmp_path / "twice", tmp_path / "undisturbed")
