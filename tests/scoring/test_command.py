"""jobs/score.py as a user runs it: exit codes, the last line, what is refused; clusters are in tests/soak and tests/deploy."""

import os
from pathlib import Path

import deltalake
import pytest

from .conftest import DEMO_LABELS, DEMO_MODEL, run_job


def flags(tmp_path, **changes):
    """Give the flags of a run over tmp_path/photos with the demo's model."""
    given = {
        "media.paths": tmp_path / "photos",
        "model.uri": DEMO_MODEL,
        "model.labels": DEMO_LABELS,
        "tables.root": tmp_path / "tables",
    } | {key.replace("__", "."): value for key, value in changes.items()}
    return [word for key, value in given.items() for word in (f"--{key}", value)]


@pytest.mark.data
@pytest.mark.own_spark
def test_every_odd_image_is_one_row(data_pack, tmp_path):
    """Each odd or broken picture of the pack: one row, scored or failed with a reason; exit 0 or 3."""
    folder = data_pack / "images_odd"
    code, summary, _ = run_job(*flags(tmp_path, media__paths=folder, media__include="*"))
    rows = deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).to_pyarrow_table().to_pylist()
    assert sorted(row["media_uri"] for row in rows) == sorted(str(file) for file in folder.iterdir())
    assert {row["status"] for row in rows} == {"scored", "failed"}
    assert all(row["error_class"] and row["error_message"] for row in rows if row["status"] == "failed")
    failed = sum(row["status"] == "failed" for row in rows)
    assert (summary["listed"], summary["failed"]) == (len(rows), failed)
    assert code == (3 if failed / len(rows) > 0.05 else 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"media__pathz": "x"}, "media.pathz"),
        ({"media__max_pixels": "many"}, "media.max_pixels"),
        ({"model__uri": "nowhere"}, "nowhere"),
        ({"model__uri": __file__}, Path(__file__).name),
        ({"model__labels": "nowhere.txt"}, "nowhere.txt"),
    ],
)
def test_refusals_come_before_spark_and_write_nothing(tmp_path, photos, changes, message):
    """Settings, model and labels: exit code 2, named on standard error, no table, no Java started."""
    photos([1])
    environment = os.environ | {"JAVA_HOME": "/nonexistent"}
    code, summary, errors = run_job(*flags(tmp_path, **changes), env=environment)
    assert (code, summary) == (2, None)
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "tables").exists()


@pytest.mark.own_spark
def test_a_missing_folder_is_refused(tmp_path):
    """media.paths that don't exist: exit code 2, no table."""
    code, _, errors = run_job(*flags(tmp_path))
    assert (code, "media.paths" in errors, (tmp_path / "tables").exists()) == (2, True, False)
