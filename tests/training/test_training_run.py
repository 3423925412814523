"""One run by its settings: half precision, compiled steps, an earlier run's weights."""

import keras
import numpy as np
import pytest

from detector.annotations.drawn_dataset import write_drawn_dataset
from detector.training.input.examples import load_training_data
from detector.training.train_settings import TrainSettings
from detector.training.training_run import measure_boxes, train_once

NETWORK = {"backbone": "plain", "input_px": 64, "levels": (3, 4), "pyramid_width": 16}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Give a folder of twelve annotated drawn photos."""
    folder = tmp_path_factory.mktemp("photos")
    write_drawn_dataset(folder, count=12, seed=7)
    return folder


def run(photos, folder, **sections):
    """Train by some settings; give the settings, the data and what was made."""
    fit = {"epochs": 1, "batch_size": 4} | sections.pop("fit", {})
    network = NETWORK | sections.pop("model", {})
    data = {"root": photos, "train": 0.5, "val": 0.25, "test": 0.25}
    settings = TrainSettings(data=data, model=network, fit=fit, out=folder, **sections)
    loaded = load_training_data(settings.data)
    return settings, loaded, train_once(settings, loaded, folder=folder, report=lambda _e, _f: None)


def test_half_precision_trains_and_exports_whole_numbers(photos, tmp_path):
    """bfloat16 with a compiled step: the losses are numbers, the export is float32 and agrees with its network."""
    _, _, trained = run(photos, tmp_path, fit={"precision": "mixed_bfloat16", "xla": True})
    assert np.isfinite(trained.history[0]["loss"])
    assert trained.agreement["box_difference"] < 1e-3
    assert keras.config.dtype_policy().name == "float32"


def test_another_run_begins_with_an_earlier_one(photos, tmp_path):
    """With the package as model.weights and no step to speak of, the second run ends where the first did."""
    _, _, first = run(photos, tmp_path / "first", fit={"epochs": 2, "ema_decay": None})
    weights = {"weights": str(first.package)}
    still = {"learning_rate": 1e-12, "weight_decay": 0, "ema_decay": None, "batch_norm_momentum": 0.999999}
    _, _, second = run(photos, tmp_path / "second", model=weights, fit=still)
    _, _, other = run(photos, tmp_path / "other", fit=still)
    assert second.metric == pytest.approx(first.metric, abs=1e-3)
    assert second.history[0]["loss"] < other.history[0]["loss"]


def test_boxes_are_measured_on_the_canvas(photos, tmp_path):
    """A picture's box over its whole width is as wide as the letterboxed content."""
    settings, data, _ = run(photos, tmp_path)
    [example] = [e for e in data.splits["train"] if e.boxes][:1]
    sizes = measure_boxes([example], settings)
    longest = max(example.width_px, example.height_px)
    x_min, y_min, x_max, y_max = example.boxes[0].xyxy_px
    assert sizes[0] == pytest.approx([(x_max - x_min) / longest, (y_max - y_min) / longest], abs=0.02)
