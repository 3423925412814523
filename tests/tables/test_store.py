"""The tables: made with comments, written once, published exactly once, read without Spark."""

import dataclasses
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import deltalake
import duckdb
import pytest
from pyspark.errors import ParseException

from detector.settings import TableSettings
from detector.tables.pages import describe_table
from detector.tables.schemas import ALL_TABLES, DETECTIONS, RUNS, SCORES
from detector.tables.store import TableStore, open_store
from detector.tables.views import create_views

pytestmark = pytest.mark.spark
LATER = ("content_sha256", "segment_count")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOX = {"class_id": 1, "label": "cat", "score": 0.5, "y_min": 0.25, "x_min": 0.5, "y_max": 0.75, "x_max": 1.0}


def make_scores(spark, numbers, **changes):
    """Give rows of scores, one cat each, for media 0, 1, ..."""
    rows = []
    for number in numbers:
        row = dict.fromkeys(SCORES.column_names)
        row |= {
            "score_id": f"id{number}",
            "media_uri": f"/photos/{number}.jpg",
            "media_kind": "image",
            "width_px": 200,
            "height_px": 100,
            "segment_index": 0,
            "attempt": 0,
            "status": "scored",
            "frames": [{"frame_index": 0, "time_s": None, "detections": [BOX]}],
            "detection_count": 1,
            "scorer_digest": "digest",
            "run_id": "run",
            "scored_at": NOON,
            "scored_date": NOON.date(),
        }
        rows.append(tuple((row | changes)[name] for name in SCORES.column_names))
    return spark.createDataFrame(rows, SCORES.schema)


def make_run(spark):
    """Give one row of runs."""
    row = dict.fromkeys(RUNS.column_names)
    row |= {
        "run_id": "run",
        "status": "done",
        "started_at": NOON,
        "finished_at": NOON,
        "scorer_digest": "digest",
    }
    return spark.createDataFrame([tuple(row.values())], RUNS.schema)


@pytest.fixture(scope="module")
def empty_root(spark, tmp_path_factory):
    """Give a folder with empty tables in it: a Delta table may be copied."""
    root = tmp_path_factory.mktemp("empty") / "lake"
    open_store(spark, TableSettings(root=str(root))).create()
    return root


@pytest.fixture
def store(spark, empty_root, tmp_path):
    """Give an empty store in a folder with a quote, a blank and a backtick in its name."""
    root = shutil.copytree(empty_root, tmp_path / "o'lake `1`")
    return open_store(spark, TableSettings(root=str(root)))


def test_scores_are_inserted_once_and_published_once(store, spark):
    """Rows that overlap with what is there add only what is new, in both tables, however often it runs."""
    assert store.insert_new_scores(make_scores(spark, range(5))) == 5
    store.publish_detections()
    assert store.insert_new_scores(make_scores(spark, range(3, 8))) == 3
    store.publish_detections()
    store.publish_detections()
    assert store.read(SCORES).count() == 8
    assert sorted(row.score_id for row in store.read(DETECTIONS).collect()) == [f"id{n}" for n in range(8)]


def test_a_box_is_flattened_into_pixels(store, spark):
    """Edges stay fractions of the picture; left, top, width and height are in pixels of it."""
    store.insert_new_scores(make_scores(spark, [1]))
    store.publish_detections()
    row = store.read(DETECTIONS).collect()[0]
    assert (row.x_px, row.y_px, row.width_px, row.height_px) == (100, 25, 100, 50)
    assert (row.image_width_px, row.image_height_px, row.detection_id) == (200, 100, "id1:0:0")


def test_writers_at_once_insert_each_row_once(store, spark):
    """Four threads insert overlapping rows and publish: every id once, no error."""
    inserted = []

    def write(first):
        inserted.append(store.insert_new_scores(make_scores(spark, range(first, first + 6))))
        store.publish_detections()

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 2, 4, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [row.score_id for row in store.read(DETECTIONS).collect()]
    assert (sum(inserted), sorted(ids)) == (12, sorted(f"id{number}" for number in range(12)))


def test_creating_again_changes_nothing(store, spark):
    """The tables of yesterday are today's."""
    store.insert_new_scores(make_scores(spark, [1]))
    store.create()
    assert store.read(SCORES).count() == 1


@pytest.fixture
def older(spark, tmp_path):
    """Give a store whose scores were made and filled before the ``LATER`` columns were known."""
    store = open_store(spark, TableSettings(root=str(tmp_path / "older")))
    columns = tuple(column for column in SCORES.columns if column.name not in LATER)
    store.create([dataclasses.replace(SCORES, columns=columns)])
    store._append(make_scores(spark, [1]).drop(*LATER), SCORES)
    return store


def test_an_older_table_is_read_and_extended(older):
    """What it lacks is null, also before it's extended; the new columns have their comments, and come once."""
    assert older.read(SCORES).columns == list(SCORES.column_names)
    [row] = older.read(SCORES).collect()
    assert (row.score_id, row.segment_count, row.content_sha256) == ("id1", None, None)
    older.create([SCORES])
    older.create([SCORES])
    found = deltalake.DeltaTable(f"{older.root}/scores")
    assert {f.name: f.metadata["comment"] for f in found.schema().fields} == {
        c.name: c.comment for c in SCORES.columns
    }
    assert [version["operation"] for version in found.history()] == ["ADD COLUMNS", "WRITE", "CREATE TABLE"]


def test_a_table_that_another_run_extends_meanwhile_is_left(older, monkeypatch):
    """The other was quicker between the look and the change."""
    lacking = TableStore._list_lacking

    def be_late(store, table):
        monkeypatch.undo()
        missing = lacking(store, table)
        store.create([table])
        return missing

    monkeypatch.setattr(TableStore, "_list_lacking", be_late)
    older._add_columns(SCORES)
    assert len(deltalake.DeltaTable(f"{older.root}/scores").schema().fields) == len(SCORES.columns)
    older._add_columns(SCORES)  # nor has it anything to do later
    assert deltalake.DeltaTable(f"{older.root}/scores").version() == 2


def test_a_table_that_can_t_be_extended_says_why(older, monkeypatch):
    """Nothing is passed over in silence."""
    monkeypatch.setattr("detector.tables.store.define_column", lambda *_, **__: "no SQL, that")
    with pytest.raises(ParseException):
        older.create([SCORES])


def test_every_table_and_column_has_its_comment(store):
    """An analyst finds what each column holds in the table itself, by another reader than Spark."""
    for table in ALL_TABLES:
        found = deltalake.DeltaTable(f"{store.root}/{table.name}")
        comments = {field.name: field.metadata["comment"] for field in found.schema().fields}
        assert found.metadata().description == table.comment
        assert comments == {column.name: column.comment for column in table.columns}


def test_duckdb_reads_the_tables(store, spark):
    """SQL without Spark: a count by label, nested frames opened."""
    store.insert_new_scores(make_scores(spark, range(3)))
    store.publish_detections()
    detections = deltalake.DeltaTable(f"{store.root}/detections").to_pyarrow_dataset()  # noqa: F841 (DuckDB finds it)
    scores = deltalake.DeltaTable(f"{store.root}/scores").to_pyarrow_dataset()  # noqa: F841
    with duckdb.connect() as connection:
        counted = connection.sql("SELECT label, count(*) FROM detections GROUP BY 1").fetchall()
        nested = connection.sql("SELECT sum(len(frames[1].detections)) FROM scores").fetchall()
    assert (counted, nested) == ([("cat", 3)], [(3,)])


def test_a_catalog_works_as_a_folder_does(spark, tmp_path):
    """Two-part and three-part names; the views are kept."""
    for schema in ("vision_a", "spark_catalog.vision_b"):
        store = open_store(spark, TableSettings(schema=schema, checkpoints=str(tmp_path / schema)))
        store.create()
        store.insert_new_scores(make_scores(spark, range(3)))
        store.publish_detections()
        store.append_run(make_run(spark))
        create_views(store)
        assert [row.run_id for row in spark.sql(f"SELECT run_id FROM {schema}.runs").collect()] == ["run"]
        counted = spark.sql(
            f"SELECT label, count(*) AS n FROM {schema}.current_detections GROUP BY 1"
        ).collect()
        assert [tuple(row) for row in counted] == [("cat", 3)]
        assert store.open(SCORES).toDF().count() == 3


def test_the_newest_row_is_current(store, spark):
    """A file scored again: the older row stays in scores and leaves the views; a failure is listed."""
    store.insert_new_scores(make_scores(spark, [1, 2]))
    later = NOON.replace(hour=13)
    store.insert_new_scores(make_scores(spark, [3], media_uri="/photos/1.jpg", scored_at=later, attempt=1))
    store.insert_new_scores(
        make_scores(spark, [4], media_uri="/photos/2.jpg", scored_at=later, status="failed", frames=None)
    )
    store.publish_detections()
    create_views(store)
    assert [row.score_id for row in spark.sql("SELECT score_id FROM current_detections").collect()] == ["id3"]
    assert [row.media_uri for row in spark.sql("SELECT media_uri FROM failures").collect()] == [
        "/photos/2.jpg"
    ]
    assert spark.sql("SELECT folder, detections FROM counts_per_folder").collect() == [("/photos", 1)]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_the_page_in_docs_is_the_schema_s(table):
    """docs/tables/ was written anew after the last change: python jobs/table_pages.py."""
    page = Path(__file__).resolve().parents[2] / "docs" / "tables" / f"{table.name}.md"
    assert page.read_text(encoding="utf-8") == describe_table(table)
