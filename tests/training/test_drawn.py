"""The drawn recipe in small, and the model that the repository carries."""

from pathlib import Path

import numpy as np
import pytest

from detector.annotations.shapes import SHAPE_NAMES, seed_generator
from detector.labels import read_label_map
from detector.training.drawn import _encode, draw_examples, fit_drawn
from detector.training.fcos import FcosConfig
from detector.training.validation import measure_drawn_ap

DEMO = Path(__file__).resolve().parents[2] / "conf" / "demo"


def test_mirrored_targets_mirror_the_locations():
    """Targets of a mirrored picture are the plain ones with columns reversed, left and right swapped."""
    config = FcosConfig(class_count=4)
    example = next(draw_examples(seed_generator("training", 5), 1))
    plain, mirrored = (
        _encode(example, config, mirrored=mirrored)[:144].reshape(12, 12, 9) for mirrored in (False, True)
    )
    expected = plain[:, ::-1][..., [0, 1, 2, 3, 4, 7, 6, 5, 8]]
    assert mirrored == pytest.approx(expected, abs=1e-4)


def test_fit_returns_an_uncompiled_model_that_moved():
    """Training changes the weights and hands back a model without an optimizer."""
    config = FcosConfig(class_count=4, canvas_px=32, widths=(8, 8, 8, 8), pyramid_width=8)
    model = fit_drawn(config, seed=0, pictures=4, epochs=2, batch=2)
    assert not model.compiled
    kernel = next(weight for weight in model.weights if "classes/bias" in weight.path)
    assert np.asarray(kernel).std() > 0


def test_demo_model_finds_shapes():
    """The carried model finds most shapes of pictures that its training never saw."""
    _, precision_50 = measure_drawn_ap(DEMO / "saved_model", seed=77, pictures=40)
    assert precision_50 > 0.85


def test_demo_model_has_names():
    """Its label map names the classes that were drawn."""
    names = read_label_map(DEMO / "label_map.pbtxt").names
    assert names == dict(enumerate(SHAPE_NAMES, 1))


def test_demo_model_is_small_enough_to_carry():
    """All its files are 4 MB at most."""
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 4_000_000
