"""Registration: a package becomes a version, whole; MLflow's own way to run it finds what scoring finds."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from detector.annotations.shapes import draw_picture
from detector.errors import ModelError
from detector.measurement.opening import open_model
from detector.measurement.predictions import predict_images
from detector.models.package import compute_digest
from detector.models.registry import fetch_registered, import_mlflow
from detector.settings import ModelSettings
from detector.training.experiment.registration import (
    ModelVersion,
    find_champion,
    move_champion,
    register_package,
)
from detector.training.experiment.runs import start_run


@pytest.fixture(scope="module")
def version(experiment, package):
    """Register the package as the first version of ``shapes``."""
    with start_run(experiment, "train") as run:
        return register_package(run, package, "shapes", metrics={"test/ap50": 0.5}, data_digest="d1")


def test_version_carries_digest_and_metrics(experiment, package, version):
    """Its tags say which model it is, what it learned from and how good it is."""
    kept = experiment.client.get_model_version("shapes", version.version)
    assert kept.tags == {
        "model.digest": compute_digest(package / "saved_model"),
        "data.digest": "d1",
        "metric.test/ap50": "0.5",
    }


def test_download_is_the_whole_package(experiment, package, version, tmp_path):
    """Every file comes back with the same bytes, and none of MLflow's."""
    path = fetch_registered(version.uri, experiment.registry_uri, tmp_path).path
    names = sorted(file.relative_to(package) for file in package.rglob("*"))
    assert sorted(file.relative_to(path) for file in path.rglob("*")) == names
    assert compute_digest(path / "saved_model") == compute_digest(package / "saved_model")


def test_champion_moves(experiment, package, version):
    """None at first, then the one that was set; a name that nobody registered has none."""
    assert find_champion(experiment, "shapes") is None
    assert find_champion(experiment, "unheard-of") is None
    move_champion(experiment, version)
    assert find_champion(experiment, "shapes") == version


def test_no_model_no_version(experiment, tmp_path):
    """A folder without a model isn't registered, not even its name."""
    with pytest.raises(ModelError), start_run(experiment, "empty") as run:
        register_package(run, tmp_path, "empty", metrics={}, data_digest="")
    assert find_champion(experiment, "empty") is None
    with pytest.raises(ModelError, match="models:/empty/1: can't be made champion"):
        move_champion(experiment, ModelVersion("empty", "1"))


def test_mlflow_finds_what_scoring_finds(experiment, version, package, tmp_path):
    """The registered model on bytes against the package on the file: the same boxes, labels and scores."""
    pixels, _, _ = draw_picture(np.random.default_rng(3), height_px=96, width_px=128)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    (tmp_path / "picture.png").write_bytes(content.getvalue())
    opened = open_model(ModelSettings(uri=str(package)))
    (expected,) = predict_images(opened.predictor, {"p": tmp_path / "picture.png"})
    before = list(sys.path)
    try:
        whole = fetch_registered(version.uri, experiment.registry_uri, tmp_path).path.parents[1]
        loaded = import_mlflow().pyfunc.load_model(str(whole))
        found = loaded.predict(pd.DataFrame({"image": [content.getvalue()] * 2}))
    finally:
        sys.path[:] = before  # MLflow puts the version's code first
    rows = found.detections
    assert found[["width_px", "height_px"]].to_numpy().tolist() == [[128, 96]] * 2
    assert rows[0] == rows[1]
    assert [row["class_id"] for row in rows[0]] == expected.class_ids.tolist()
    assert [row["label"] for row in rows[0]] == [opened.labels.name_of(i) for i in expected.class_ids]
    boxes = np.array([[row["x_min"], row["y_min"], row["x_max"], row["y_max"]] for row in rows[0]])
    assert boxes * [128, 96, 128, 96] == pytest.approx(expected.boxes_xyxy_px, abs=1e-4)
    assert len(boxes) > 0
