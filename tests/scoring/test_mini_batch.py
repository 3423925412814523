"""The batch endpoint's driver, run as Azure ML does: the same rows as the Spark job, a row for every file."""

import importlib.util
import math
import shutil

import numpy as np
import pandas as pd
import pytest

from detector.annotations.shapes import draw_picture
from detector.errors import ModelError, SettingsError
from detector.scoring.job import score
from detector.scoring.mini_batch import MiniBatchScorer, MiniBatchSettings, find_mounted_model
from detector.tables.schemas import DETECTIONS

from .conftest import DEMO_LABELS, DEMO_MODEL, PROJECT, write_clip

OF_THE_RUN = {"run_id", "scored_at", "scored_date"}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Give the scoring script after init, its model mounted below AZUREML_MODEL_DIR."""
    mounted = tmp_path_factory.mktemp("azureml-models") / "demo" / "3"
    shutil.copytree(DEMO_MODEL, mounted / "package" / "saved_model")
    shutil.copy(DEMO_LABELS, mounted / "package")
    spec = importlib.util.spec_from_file_location("azure_batch", PROJECT / "jobs" / "azure_batch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AZUREML_MODEL_DIR", str(mounted))
        environment.setenv("AZUREML_RUN_ID", "run-7")
        environment.setenv("DETECTOR_MODEL__NAME", "demo")
        module.init()
        yield module


@pytest.fixture
def media(photos):
    """Give a folder of pictures, a clip, an empty file and one that is no picture."""
    folder = photos(range(11))
    (folder / "broken.jpg").write_bytes((folder / "photo00000.jpg").read_bytes()[:700])
    (folder / "empty.png").write_bytes(b"")
    (folder / "words.jpg").write_text("no picture", encoding="utf-8")
    pictures = [
        draw_picture(np.random.default_rng(seed), height_px=96, width_px=128)[0] for seed in range(30)
    ]
    write_clip(folder / "clip.mp4", pictures)
    (folder / "torn.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    return folder


def list_files(folder):
    """Give the files as Azure ML lists them."""
    return sorted(str(file) for file in folder.iterdir())


@pytest.mark.spark
def test_rows_are_those_of_the_spark_job(driver, media, make_settings, spark, tmp_path):
    """Ids, boxes, pixels and labels are equal, column by column; so are the reasons of what failed."""
    score(spark, make_settings(run={"max_failed_fraction": 1.0}))
    expected = spark.read.format("delta").load(str(tmp_path / "tables" / "detections")).toPandas()
    failures = spark.read.format("delta").load(str(tmp_path / "tables" / "scores")).where("status = 'failed'")
    files = list_files(media)
    rows = pd.concat([driver.run(files[:7]), driver.run(files[7:])], ignore_index=True)
    found = rows[rows["label"].notna()].set_index("detection_id").sort_index()
    expected = expected.set_index("detection_id").sort_index()
    assert len(found) > 50
    assert set(found["media_kind"]) == {"image", "video"}
    shared = [name for name in expected.columns if name not in OF_THE_RUN]
    pd.testing.assert_frame_equal(found[shared], expected[shared], check_dtype=False, check_exact=True)
    failed = rows[rows["status"] == "failed"]
    named = {
        row["media_uri"]: (row["error_class"], row["error_message"]) for row in failed.to_dict("records")
    }
    assert named == {r["media_uri"]: (r["error_class"], r["error_message"]) for r in failures.collect()}
    assert len(named) == 4


def test_every_file_has_a_row(driver, media):
    """Broken, empty, missing files and folders are rows with a reason, in the order given, never errors."""
    names = ["words.jpg", "photo00003.jpg", "broken.jpg", "nowhere.jpg", "empty.png", "torn.mp4"]
    rows = driver.run([str(media / name) for name in names] + [str(media)])
    first = rows.drop_duplicates("media_uri")
    assert list(first["media_uri"]) == [str(media / name) for name in names] + [str(media)]
    reasons = dict(zip(names, first["error_class"], strict=False))
    assert reasons["photo00003.jpg"] is None
    assert reasons["words.jpg"] == "NotAnImage"
    assert reasons["broken.jpg"] == "DamagedImage"
    assert reasons["nowhere.jpg"] == "MediaNotFound"
    assert reasons["empty.png"] == "EmptyMedia"
    assert set(first["status"]) == {"scored", "failed", "skipped"}
    assert set(rows["run_id"]) == {"run-7"}


def test_columns_are_those_of_the_table(driver, media):
    """The table's columns in its order, then the file's status; a picture of nothing is one scored row."""
    rows = driver.run([str(media / "photo00001.jpg")])
    assert list(rows.columns) == [*DETECTIONS.column_names, "status", "error_class", "error_message"]
    assert driver.run([]).empty
    settings = MiniBatchSettings(model={"uri": str(DEMO_MODEL), "min_score": 1.0})
    strict = MiniBatchScorer.open(settings, gpu=None, cores=1, run_id=None)
    nothing = strict.score([str(media / "photo00001.jpg")])
    assert list(nothing["status"]) == ["scored"]
    assert nothing["label"].isna().all()
    assert int(nothing["image_width_px"].iloc[0]) == 128


def test_a_whole_file_survives_csv(driver, media):
    """What Azure ML appends to its file reads back with the same numbers."""
    rows = driver.run([str(media / "photo00002.jpg")])
    line = rows.to_csv(index=False).splitlines()[1].split(",")
    score_column = list(rows.columns).index("score")
    assert math.isclose(float(line[score_column]), float(rows["score"].iloc[0]), rel_tol=1e-6)
    assert line[list(rows.columns).index("class_id")].isdigit()


def test_one_model_is_asked_for(driver, tmp_path, monkeypatch):
    """No model, two models, or no folder at all are refused by name in init."""
    with pytest.raises(ModelError, match="found 0"):
        find_mounted_model(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match="found 2"):
        find_mounted_model(tmp_path)
    monkeypatch.delenv("AZUREML_MODEL_DIR")
    with pytest.raises(SettingsError, match="AZUREML_MODEL_DIR"):
        driver.init()
