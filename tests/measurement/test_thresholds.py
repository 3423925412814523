"""Thresholds beside the model: written whole, read back, never in the SavedModel, never another model's."""

import datetime as dt
import json
import shutil

import numpy as np
import pytest

from detector.errors import SettingsError
from detector.evaluation.assessment import assess_detections
from detector.evaluation.results import make_result
from detector.evaluation.truth import make_truth
from detector.measurement.thresholds import (
    ThresholdOrigin,
    list_rows,
    list_thresholds,
    place_beside,
    read_thresholds,
    write_thresholds,
)
from detector.models.package import compute_digest
from detector.tables.schemas import THRESHOLDS

ORIGIN = ThresholdOrigin("e1", "cats", "1", "d1", "/photos", dt.datetime(2026, 11, 24, tzinfo=dt.UTC))


@pytest.fixture(scope="module")
def report():
    """Give the report of two classes: cats are found at .8 and .6, dogs never."""
    truths = [make_truth(f"{n}.jpg", (40, 40), [[0, 0, 9, 9], [20, 20, 30, 30]], [1, 2]) for n in range(2)]
    results = [
        make_result("0.jpg", (40, 40), [[0, 0, 9, 9], [20, 0, 30, 9]], [0.8, 0.5], [1, 1]),
        make_result("1.jpg", (40, 40), [[0, 0, 9, 9]], [0.6], [1]),
    ]
    return assess_detections(
        truths, results, labels={1: "cat"}, random=np.random.default_rng(0), resamples=200
    )


def test_each_class_that_was_found_has_a_threshold(report):
    """Cats at .6 by hand: both found, none wrong; dogs have none."""
    (entry,) = list_thresholds(report)
    named = {key: entry[key] for key in ("class_id", "label", "threshold", "f1", "precision", "recall")}
    assert named == {"class_id": 1, "label": "cat", "threshold": 0.6, "f1": 1, "precision": 1, "recall": 1}
    assert entry["low"] <= entry["threshold"] <= entry["high"]
    assert (entry["objects"], entry["images"], entry["iou_threshold"]) == (2, 2, 0.5)


def test_the_file_is_read_back(report, tmp_path):
    """Threshold by class id, for this model alone."""
    path = tmp_path / "thresholds.json"
    write_thresholds(report, ORIGIN, path)
    assert read_thresholds(path, model_digest="d1") == {1: 0.6}
    assert json.loads(path.read_text())["evaluated_at"] == "2026-11-24T00:00:00+00:00"
    assert [file.name for file in tmp_path.iterdir()] == ["thresholds.json"]
    with pytest.raises(SettingsError, match="is of the model d1, not of d2"):
        read_thresholds(path, model_digest="d2")


@pytest.mark.parametrize("content", ["", "[]", '{"thresholds": [{"class_id": 1}], "model_digest": "d1"}'])
def test_another_file_is_refused(tmp_path, content):
    """Whatever is in it."""
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(SettingsError, match="can't be read as thresholds"):
        read_thresholds(tmp_path / "t.json")


def test_the_model_s_digest_stays(report, demo, tmp_path):
    """The file lies beside the SavedModel folder, whatever that is called."""
    for name in ("saved_model", "birds"):
        model = shutil.copytree(demo / "saved_model", tmp_path / name)
        before = compute_digest(model)
        write_thresholds(report, ORIGIN, place_beside(model))
        assert compute_digest(model) == before
    assert {path.name for path in tmp_path.glob("*.json")} == {"thresholds.json", "birds.thresholds.json"}


def test_a_folder_that_can_not_be_written_is_named(report, tmp_path):
    """With the reason."""
    with pytest.raises(SettingsError, match=r"thresholds\.json can't be written: No such file"):
        write_thresholds(report, ORIGIN, tmp_path / "none" / "thresholds.json")


def test_rows_have_the_table_s_columns(report):
    """No more and no fewer."""
    assert [set(row) for row in list_rows(report, ORIGIN)] == [set(THRESHOLDS.column_names)]
