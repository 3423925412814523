"""Maintenance of the tables: what is named goes everywhere, all else stays, also while rows are added."""

import json
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import pytest
from pydantic import ValidationError

from detector.errors import SettingsError
from detector.media.filesystem import name_medium
from detector.settings import TableSettings
from detector.tables.maintain_settings import ForgetSettings, MaintainSettings, RetainSettings
from detector.tables.maintenance import maintain_tables
from detector.tables.schemas import DETECTIONS, RUNS, SCORES
from detector.tables.store import open_store

pytestmark = pytest.mark.spark
NOW = datetime.now(UTC)
BOX = {"class_id": 1, "label": "cat", "score": 0.5, "y_min": 0.25, "x_min": 0.5, "y_max": 0.75, "x_max": 1.0}
OPTIONS = {"compact": False, "vacuum_hours": None}


def make_row(uri, days_old=0, **changes):
    """Make a row of scores: one cat."""
    scored_at = NOW - timedelta(days=days_old)
    return dict.fromkeys(SCORES.column_names) | {
        "score_id": f"{uri}@{days_old}",
        "media_uri": uri,
        "media_kind": "image",
        "size_bytes": 1000 + days_old,
        "width_px": 200,
        "height_px": 100,
        "segment_index": 0,
        "attempt": 0,
        "status": "scored",
        "frames": [{"frame_index": 0, "time_s": None, "detections": [BOX]}],
        "detection_count": 1,
        "model_name": "cats",
        "scorer_digest": "digest",
        "run_id": "run",
        "scored_at": scored_at,
        "scored_date": scored_at.date(),
        **changes,
    }


def insert(store, *rows):
    """Commit rows of scores."""
    values = [tuple(row[name] for name in SCORES.column_names) for row in rows]
    store.insert_new_scores(store.spark.createDataFrame(values, SCORES.schema))


def maintain(store, **settings):
    """Maintain with little said."""
    given = MaintainSettings(tables={"root": store.root}, **{**OPTIONS, **settings})
    return maintain_tables(store, given, name_medium, tell=lambda _line: None)


def list_ids(store, table=SCORES):
    """List score_ids by another reader than Spark."""
    rows = deltalake.DeltaTable(f"{store.root}/{table.name}").to_pyarrow_table(columns=["score_id"])
    return sorted(rows.column(0).to_pylist())


@pytest.fixture(scope="module")
def filled_root(spark, tmp_path_factory):
    """Give a folder with tables of four pictures; a'.jpg has two versions, the older 40 days old."""
    root = tmp_path_factory.mktemp("filled") / "lake"
    store = open_store(spark, TableSettings(root=str(root)))
    store.create()
    insert(store, make_row("/p/a'.jpg", 40), make_row("/p/x/b.jpg", 40))
    store.publish_detections()
    insert(store, make_row("/p/a'.jpg"), make_row("/p/xy/c.jpg"), make_row("/q_/d.jpg", frames=None))
    return root


@pytest.fixture
def store(spark, filled_root, tmp_path):
    """Give a copy of these tables: a Delta table may be copied, and its stream's progress with it."""
    return open_store(spark, TableSettings(root=str(shutil.copytree(filled_root, tmp_path / "o'lake"))))


def test_forgetting_takes_all_versions_of_files_and_folders_and_nothing_else(store):
    """A file by its name, a folder with what is below it and not its neighbours with a like name."""
    done = maintain(store, forget=ForgetSettings(media=["/p/a'.jpg"], folders=["/p/x/"]))
    assert (done.scores_forgotten, done.detections_deleted) == (3, 3)
    assert list_ids(store) == ["/p/xy/c.jpg@0", "/q_/d.jpg@0"]
    assert list_ids(store, DETECTIONS) == ["/p/xy/c.jpg@0"]
    assert maintain(store, forget=ForgetSettings(folders=["/q%"])).scores_forgotten == 0


def test_superseded_versions_go_and_current_ones_stay_however_old(store):
    """The older version of a.jpg goes, b.jpg's only version stays though it is as old."""
    assert maintain(store, retain=RetainSettings(superseded_days=41)).scores_superseded == 0
    done = maintain(store, retain=RetainSettings(superseded_days=30))
    assert (done.scores_superseded, done.detections_deleted) == (1, 1)
    assert list_ids(store) == ["/p/a'.jpg@0", "/p/x/b.jpg@40", "/p/xy/c.jpg@0", "/q_/d.jpg@0"]
    assert list_ids(store, DETECTIONS) == ["/p/a'.jpg@0", "/p/x/b.jpg@40", "/p/xy/c.jpg@0"]


def test_old_boxes_go_and_that_the_file_was_scored_stays(store):
    """Rows of scores lose their frames, not their key: nothing is scored again."""
    before = list_ids(store)
    done = maintain(store, retain=RetainSettings(boxes_days=30))
    assert (done.scores_emptied, done.detections_deleted) == (2, 2)
    assert list_ids(store) == before
    rows = {row.score_id: row for row in store.read(SCORES).collect()}
    assert (rows["/p/a'.jpg@40"].frames, rows["/p/a'.jpg@40"].detection_count) == (None, 1)
    assert rows["/p/a'.jpg@0"].frames is not None
    assert list_ids(store, DETECTIONS) == ["/p/a'.jpg@0", "/p/xy/c.jpg@0"]


def test_old_runs_go(store):
    """By the day that they finished."""
    for days in (1, 100):
        row = {column.name: None if column.nullable else "text" for column in RUNS.columns}
        row |= {"run_id": f"r{days}", "started_at": NOW, "finished_at": NOW - timedelta(days=days)}
        values = [tuple(row[name] for name in RUNS.column_names)]
        store.append_run(store.spark.createDataFrame(values, RUNS.schema))
    assert maintain(store, retain=RetainSettings(runs_days=50)).runs_deleted == 1
    assert [row.run_id for row in store.read(RUNS).collect()] == ["r1"]


def test_killed_between_its_commits_it_is_made_good_by_the_next(store):
    """Scores deleted, detections not: the next maintenance finds the orphans; publication goes on."""
    store.publish_detections()
    store.open(SCORES).delete("startswith(media_uri, '/p/a')")
    assert len(list_ids(store, DETECTIONS)) == 4
    assert maintain(store).detections_deleted == 2
    insert(store, make_row("/p/new.jpg"))
    store.publish_detections()
    assert list_ids(store, DETECTIONS) == ["/p/new.jpg@0", "/p/x/b.jpg@40", "/p/xy/c.jpg@0"]


def test_compaction_writes_files_together_and_publishes_nothing_twice(store):
    """Six commits become one file of each table; the stream passes over it."""
    for number in range(6):
        insert(store, make_row(f"/p/{number}.jpg"))
    before = list_ids(store)
    done = maintain(store, compact=True, vacuum_hours=168)
    assert done.files_after < done.files_before
    store.publish_detections()
    assert list_ids(store) == before
    assert list_ids(store, DETECTIONS) == [name for name in before if name != "/q_/d.jpg@0"]


def test_while_rows_are_added_nothing_is_lost_or_doubled(store):
    """A writer commits and publishes beside maintenances that expire and compact, then a folder is forgotten."""
    failures = []

    def write():
        try:
            for number in range(4):
                insert(store, make_row(f"/p/w{number}.jpg"), make_row(f"/p/x/w{number}.jpg"))
                store.publish_detections()
        except Exception as error:  # noqa: BLE001 (shown by the assertion below)
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    rounds = 0
    while writer.is_alive() or rounds < 2:
        maintain(store, compact=True, retain=RetainSettings(superseded_days=30))
        rounds += 1
    writer.join()
    assert failures == []
    maintain(store, forget=ForgetSettings(folders=["/p/x"]))
    kept = [f"/p/w{number}.jpg@0" for number in range(4)]
    assert list_ids(store) == sorted(["/p/a'.jpg@0", "/p/xy/c.jpg@0", "/q_/d.jpg@0", *kept])
    assert list_ids(store, DETECTIONS) == sorted(["/p/a'.jpg@0", "/p/xy/c.jpg@0", *kept])


def test_a_place_without_tables_is_refused_and_stays_empty(spark, tmp_path):
    """A mistyped root is no new lake."""
    store = open_store(spark, TableSettings(root=str(tmp_path / "lak")))
    with pytest.raises(SettingsError, match=r"no Delta table; run jobs/score\.py first"):
        maintain(store)
    assert not (tmp_path / "lak").exists()


def test_an_unsafe_vacuum_is_refused():
    """A week is the least: a reader at work may need the files."""
    with pytest.raises(ValidationError, match="vacuum_hours"):
        MaintainSettings(tables={"root": "lake"}, vacuum_hours=24)


def test_the_job_prints_what_it_did(store):
    """As a process of its own, by its settings file; exit codes 0 and 2."""
    top = Path(__file__).resolve().parents[2]
    command = [sys.executable, "jobs/maintain.py", "--config", "conf/maintain.yaml", "--tables.root"]
    done = subprocess.run(
        [*command, store.root, "--forget.folders", "/p"],
        cwd=top, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["scores_forgotten"] == 4
    assert list_ids(store) == ["/q_/d.jpg@0"]
    refused = subprocess.run(
        [*command, store.root, "--retian.runs_days", "1"],
        cwd=top, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "retian" in refused.stderr
