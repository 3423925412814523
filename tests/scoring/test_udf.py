"""Ad-hoc detection in a query: the same results as the job, rows in order, nulls for what is no image."""

import deltalake
import pytest

from detector.scoring.job import score
from detector.scoring.udf import build_detect_objects, register_detect_objects
from detector.settings import ModelSettings

from .conftest import DEMO_LABELS, DEMO_MODEL

pytestmark = pytest.mark.spark
MODEL = ModelSettings(
    uri=str(DEMO_MODEL), labels=str(DEMO_LABELS), name="demo", min_score=0.0, max_detections=4
)


def test_the_udf_finds_what_the_job_finds(spark, make_settings, photos, tmp_path):
    """Over the bytes of the same files, in small Arrow batches: equal detections for each file."""
    folder = photos(range(30))
    score(spark, make_settings(model=MODEL.model_dump()))
    by_job = {
        row["media_uri"]: row["frames"][0]["detections"]
        for row in deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).to_pyarrow_table().to_pylist()
    }
    rows = [(str(file), file.read_bytes()) for file in sorted(folder.iterdir())]
    detect_objects = build_detect_objects(spark, MODEL)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "7")
    try:
        contents = spark.createDataFrame(rows, "uri string, content binary")
        by_udf = {
            row.uri: [detection.asDict() for detection in row.found]
            for row in contents.select("uri", detect_objects("content").alias("found")).collect()
        }
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    assert by_udf.keys() == by_job.keys()
    for uri, found in by_job.items():
        assert [d["class_id"] for d in by_udf[uri]] == [d["class_id"] for d in found]
        assert [d["score"] for d in by_udf[uri]] == pytest.approx([d["score"] for d in found], abs=1e-3)


def test_sql_calls_it_by_name(spark, photos):
    """detect_objects(content) in SQL; text, nothing and null give null and stop nothing."""
    folder = photos([200])
    register_detect_objects(spark, MODEL)
    picture = (folder / "photo00200.jpg").read_bytes()
    rows = [(1, picture), (2, b"no picture"), (3, b""), (4, None), (5, picture)]
    spark.createDataFrame(rows, "id int, content binary").createOrReplaceTempView("contents")
    found = spark.sql("SELECT id, detect_objects(content) AS found FROM contents ORDER BY id").collect()
    assert [row.found is None for row in found] == [False, True, True, True, False]
    assert found[0].found == found[4].found
