"""Every family trains a few steps, exports, and scores through the Spark job as it does alone."""

import deltalake
import numpy as np
import pytest

from detector.annotations.drawn_dataset import write_drawn_dataset
from detector.measurement.opening import open_model
from detector.measurement.predictions import predict_images
from detector.scoring.job import score
from detector.settings import ModelSettings, ScoreSettings
from detector.training.input.examples import load_training_data
from detector.training.train_settings import TrainSettings
from detector.training.training_run import train_once

pytestmark = pytest.mark.spark

FAMILIES = {
    "fcos": {"backbone": "plain", "input_px": 64, "levels": (3, 4), "pyramid_width": 16},
    "retinanet": {"backbone": "plain", "input_px": 64, "levels": (3, 4), "pyramid_width": 32},
    "d_fine": {"backbone": "plain", "levels": (4, 5), "pyramid_width": 16, "head_depth": 1, "input_px": 64},
    "faster_rcnn": {"backbone": "resnet_18", "input_px": 128, "pyramid_width": 32},
}
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Give a folder of eight annotated drawn photos."""
    folder = tmp_path_factory.mktemp("photos")
    write_drawn_dataset(folder, count=8, seed=11)
    return folder


def read_detections(root):
    """Read the table by another reader than Spark: for each picture its boxes in pixels with their scores."""
    rows = deltalake.DeltaTable(str(root / "detections")).to_pyarrow_table().to_pylist()
    found = {}
    for row in sorted(rows, key=lambda row: -row["score"]):
        edges = [row["x_px"], row["y_px"], row["x_px"] + row["width_px"], row["y_px"] + row["height_px"]]
        found.setdefault(row["media_uri"].rpartition("/")[2], []).append(
            [*edges, row["score"], row["class_id"]]
        )
    return found


@pytest.mark.parametrize("architecture", FAMILIES)
def test_family_scores_through_spark(spark, photos, tmp_path, architecture):
    """One epoch, the export agrees with the network, and Spark's tables with the export, to 1e-3."""
    settings = TrainSettings(
        data={"root": photos, "train": 0.5, "val": 0.25, "test": 0.25},
        model={"architecture": architecture, **FAMILIES[architecture]},
        fit={"epochs": 1, "batch_size": 2},
        out=tmp_path / "out",
    )
    data = load_training_data(settings.data)
    reported = {}
    trained = train_once(settings, data, folder=tmp_path / "run", report=reported.setdefault)
    assert np.isfinite(reported[1]["loss"])
    assert max(trained.agreement["box_difference"], trained.agreement["score_difference"]) < TOLERANCE

    model = ModelSettings(uri=str(trained.package), min_score=0.01, max_detections=5)
    summary = score(
        spark,
        ScoreSettings(media={"paths": [str(photos)]}, model=model, tables={"root": str(tmp_path / "tables")}),
    )
    assert (summary.scored, summary.failed) == (8, 0)
    recorded = read_detections(tmp_path / "tables")
    paths = {path.name: path for path in sorted(photos.glob("*.jpg"))}
    everything = model.model_copy(update={"min_score": 0.0, "max_detections": None})
    counted = 0
    for result in predict_images(open_model(everything).predictor, paths):
        side = max(result.width_px, result.height_px)
        # An untrained network's scores are near ties, whose order and end are anybody's: rows are a set.
        alone = np.column_stack([result.boxes_xyxy_px / side, result.scores, result.class_ids])
        rows = np.array(recorded.get(result.image, [])).reshape(-1, 6) / [side, side, side, side, 1, 1]
        likes = np.abs(rows[:, None] - alone[None]).max(axis=-1).min(axis=-1, initial=1)
        assert likes.max(initial=0) < TOLERANCE, result.image
        counted += len(rows)
    assert counted == summary.detections > 0
