"""Tables that an older version of this project wrote: read and extended, never broken, nothing scored again."""

import dataclasses
import threading

import deltalake
import pytest
from pyspark.sql import types as t

from detector.errors import SettingsError
from detector.media.filesystem import name_medium
from detector.reports.query import fetch_rows, open_tables
from detector.scoring.job import score
from detector.settings import TableSettings
from detector.tables.detections import flatten_scores
from detector.tables.maintain_settings import MaintainSettings
from detector.tables.maintenance import maintain_tables
from detector.tables.schemas import DETECTIONS, RUNS, SCORES, Column
from detector.tables.store import open_store
from detector.tables.views import create_views

pytestmark = pytest.mark.spark
LATER = {  # what the older version didn't know
    SCORES.name: ("attempt", "segment_count", "content_sha256", "frames_expected"),
    DETECTIONS.name: ("image_height_px",),
    RUNS.name: ("frames", "video_s"),
}


def make_older(table, **types):
    """Give a table without the later columns, and with other types."""
    columns = [
        Column(column.name, types.get(column.name, column.type), column.comment, column.nullable)
        for column in table.columns
        if column.name not in LATER[table.name]
    ]
    return dataclasses.replace(table, columns=tuple(columns))


def write_older(spark, root, newer):
    """Write the tables of ``newer`` as the older version would have, its published detections too."""
    older = open_store(spark, TableSettings(root=str(root)))
    older.create([make_older(table) for table in (SCORES, DETECTIONS, RUNS)])
    for table in (SCORES, RUNS):
        older._append(newer.read(table).drop(*LATER[table.name]), table)
    committed = spark.readStream.format("delta").load(f"{root}/scores")
    published = flatten_scores(committed).drop(*LATER[DETECTIONS.name]).writeStream.format("delta")
    published = published.outputMode("append").option("checkpointLocation", f"{older.checkpoints}/detections")
    published.trigger(availableNow=True).start(f"{root}/detections").awaitTermination()
    return older


def read_rows(root, table):
    """Read a table by another reader than Spark."""
    return deltalake.DeltaTable(f"{root}/{table}").to_pyarrow_table().to_pylist()


def test_older_tables_are_read_and_extended(spark, make_settings, photos, tmp_path):
    """A report, a run, views and maintenance over them: old rows stay, null in new columns, nothing twice."""
    folder = photos(range(3))
    (folder / "empty.jpg").touch()
    first = score(spark, make_settings())
    older = write_older(
        spark, tmp_path / "older", open_store(spark, TableSettings(root=str(tmp_path / "tables")))
    )
    old_ids = {row["score_id"] for row in read_rows(older.root, "scores")}
    reported = fetch_rows(
        open_tables(older.root), "SELECT count(*) AS n, max(attempt) AS a FROM current_scores"
    )
    assert reported == [{"n": 4, "a": None}]

    photos([3])
    second = score(spark, make_settings(tables={"root": older.root}))
    assert (first.scored, second.scored, second.failed) == (3, 1, 0)
    assert second.skipped_reasons == {"already_scored": 3, "already_failed": 1}
    rows = read_rows(older.root, "scores")
    assert {row["score_id"] for row in rows} > old_ids
    for row in rows:
        is_old = row["score_id"] in old_ids
        assert all((row[name] is None) == is_old for name in ("attempt", "segment_count", "frames_expected"))
    boxes = read_rows(older.root, "detections")
    assert (
        len(boxes) == len({row["detection_id"] for row in boxes}) == first.detections + second.detections > 0
    )
    assert {row["image_height_px"] is None for row in boxes} == {True, False}
    assert {row["video_s"] for row in read_rows(older.root, "runs")} == {None, 0.0}

    create_views(older)
    assert spark.sql("SELECT count(*), count(attempt) FROM current_scores").collect() == [(5, 1)]
    done = maintain_tables(
        older,
        MaintainSettings(tables={"root": older.root}, vacuum_hours=None),
        name_medium,
        tell=lambda _line: None,
    )
    assert (done.detections_deleted, len(read_rows(older.root, "detections"))) == (0, len(boxes))
    third = score(spark, make_settings(tables={"root": older.root}, run={"rescore": True}))
    assert (third.scored, third.failed) == (4, 1)
    assert {row["attempt"] for row in read_rows(older.root, "scores")} == {None, 0, 1}


def test_views_of_older_tables_come_before_any_run(spark, tmp_path):
    """Making the views extends the tables; several that extend at once don't disturb each other."""
    store = open_store(spark, TableSettings(root=str(tmp_path / "tables")))
    store.create([make_older(table) for table in (SCORES, DETECTIONS, RUNS)])
    assert store.read(SCORES).columns == SCORES.column_names
    failures = []

    def extend():
        try:
            store.create()
        except Exception as error:  # noqa: BLE001 (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=extend) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    create_views(store)
    found = deltalake.DeltaTable(f"{store.root}/scores").schema()
    assert {field.name for field in found.fields} == set(SCORES.column_names)


def test_a_column_of_another_type_is_refused(spark, tmp_path, make_settings, photos):
    """By table, column and both types; no other table is touched."""
    photos([0])
    store = open_store(spark, TableSettings(root=str(tmp_path / "older")))
    store.create([make_older(SCORES), make_older(RUNS, listed=t.StringType())])
    with pytest.raises(
        SettingsError, match=r"/runs`: column listed is string, and this version writes bigint"
    ):
        score(spark, make_settings(tables={"root": store.root}))
    assert "attempt" not in {f.name for f in deltalake.DeltaTable(f"{store.root}/scores").schema().fields}
