"""The table of thresholds and the view that applies it: the newest of a model's class, else the default."""

from datetime import UTC, datetime

import pytest

from detector.settings import TableSettings
from detector.tables.schemas import DETECTIONS, RUNS, SCORES, THRESHOLDS
from detector.tables.store import open_store
from detector.tables.views import create_views

pytestmark = pytest.mark.spark
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def make_frame(spark, table, *rows):
    """Make rows of a table from what each sets."""
    values = [
        tuple((dict.fromkeys(table.column_names) | row)[name] for name in table.column_names) for row in rows
    ]
    return spark.createDataFrame(values, table.schema)


def make_score(name, digest, *scores):
    """Give a row of scores of one picture: classes 1, 2, ... with these scores."""
    edges = dict.fromkeys(("y_min", "x_min", "y_max", "x_max"), 0.5)
    found = [{"class_id": n, "label": f"c{n}", "score": score, **edges} for n, score in enumerate(scores, 1)]
    return {
        "score_id": f"{name}-{digest}",
        "media_uri": f"/photos/{name}.jpg",
        "media_kind": "image",
        "width_px": 10,
        "height_px": 10,
        "segment_index": 0,
        "attempt": 0,
        "status": "scored",
        "frames": [{"frame_index": 0, "time_s": None, "detections": found}],
        "model_name": digest,
        "model_digest": digest,
        "scorer_digest": digest,
        "run_id": "run",
        "scored_at": NOON,
        "scored_date": NOON.date(),
    }


def make_threshold(digest, class_id, threshold, hour=12):
    """Give a row of thresholds."""
    return {
        "evaluation_id": f"e{hour}",
        "model_digest": digest,
        "class_id": class_id,
        "threshold": threshold,
        "evaluated_at": NOON.replace(hour=hour),
    }


@pytest.fixture(scope="module")
def store(spark, tmp_path_factory):
    """Give tables of one picture by two models, and of three evaluations of the first."""
    store = open_store(spark, TableSettings(root=str(tmp_path_factory.mktemp("thresholds"))))
    store.create()
    rows = make_score("a", "m1", 0.25, 0.5, 0.6, 0.3), make_score("a", "m2", 0.25, 0.5)
    store.insert_new_scores(make_frame(spark, SCORES, *rows))
    store.publish_detections()
    for row in (
        make_threshold("m1", 1, 0.9, hour=10),
        make_threshold("m1", 1, 0.25, hour=13),
        make_threshold("m1", 2, 0.75, hour=11),
    ):
        store.append_thresholds(make_frame(spark, THRESHOLDS, row))
    return store


def list_above(store, **options):
    """List model, class and threshold of what the view lets through."""
    create_views(store, **options)
    rows = store.spark.sql("SELECT model_name, class_id, threshold FROM detections_above_threshold").collect()
    return sorted(tuple(row) for row in rows)


def test_the_newest_threshold_of_the_model_s_class_counts(store):
    """Inclusive; an older one doesn't, nor another model's; classes without one have the default."""
    assert list_above(store) == [("m1", 1, 0.25), ("m1", 3, 0.5), ("m2", 2, 0.5)]


def test_the_default_can_be_stated(store):
    """For classes without a threshold alone."""
    assert list_above(store, default_threshold=0.4) == [("m1", 1, 0.25), ("m1", 3, 0.4), ("m2", 2, 0.4)]


def test_retuning_needs_no_rescoring(store, spark):
    """A new evaluation's rows alone change what is let through."""
    store.append_thresholds(make_frame(spark, THRESHOLDS, make_threshold("m2", 1, 0.1, hour=15)))
    assert ("m2", 1, 0.1) in list_above(store)


def test_tables_of_an_older_version_get_the_table(spark, tmp_path):
    """Views over a folder without thresholds make it."""
    store = open_store(spark, TableSettings(root=str(tmp_path)))
    store.create([SCORES, DETECTIONS, RUNS])
    assert "thresholds" in create_views(store)
    assert store.read(THRESHOLDS).count() == 0
