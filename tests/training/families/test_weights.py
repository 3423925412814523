"""Weights to begin with: which kind a setting names, and runs that fit, nearly fit, and don't."""

import keras
import numpy as np
import pytest
from keras import layers

from detector.errors import ModelError
from detector.training.families.weights import (
    PRESET_CONFIG,
    RUN_WEIGHTS,
    load_backbone_file,
    load_run_weights,
    locate_weights,
)


def build(*, classes=3, width=8, blocks=4, seed=0):
    """Build a small network with one layer whose size follows from the classes."""
    keras.utils.set_random_seed(seed)
    features = pixels = keras.Input((8, 8, 3))
    for _ in range(blocks):
        features = layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same")(features))
    features = layers.Dropout(0.1)(features)
    return keras.Model(pixels, layers.Conv2D(classes, 1, name="classes")(features))


def test_nothing_named_is_nothing():
    """Random weights are the default."""
    assert locate_weights(None).kind == "none"


def test_folders_are_told_apart_by_what_they_hold(tmp_path):
    """A preset has a configuration that names a class; a run has weights alone; else it's refused."""
    preset, run, other = (tmp_path / name for name in ("preset", "run", "other"))
    for folder in (preset, run, other):
        folder.mkdir()
    (preset / RUN_WEIGHTS).touch()
    (preset / PRESET_CONFIG).write_text('{"registered_name": "keras_hub>ResNetBackbone"}')
    (run / RUN_WEIGHTS).touch()
    (run / PRESET_CONFIG).write_text('{"epochs": 3}')
    assert locate_weights(str(preset)).kind == "preset"
    assert locate_weights(str(run)).kind == "run"
    with pytest.raises(ModelError, match="is neither an earlier run"):
        locate_weights(str(other))


def test_names_and_addresses_of_presets_need_no_network():
    """A preset that KerasHub lists, and an address of a hub, are presets; nearly one is refused with a hint."""
    assert locate_weights("resnet_50_imagenet").kind == "preset"
    assert locate_weights("hf://someone/something").kind == "preset"
    with pytest.raises(
        ModelError, match=r"resnet_50_imagenett is no file.*did you mean resnet_50_imagenet\?"
    ):
        locate_weights("resnet_50_imagenett")


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_backbone_file_of_either_format(tmp_path, suffix):
    """Keras's own format and the older one are loaded; other shapes are refused with both counts."""
    saved, path = build(seed=9), tmp_path / f"some{suffix}"
    saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
    loaded = build()
    load_backbone_file(loaded, path, "small")
    for mine, theirs in zip(loaded.weights, saved.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(
        ModelError, match=r"not the weights of wide without its top: expected 26 arrays of .*found"
    ):
        load_backbone_file(build(width=9), path, "wide")


def test_file_that_is_no_weights(tmp_path):
    """Text under the name of weights is refused by name."""
    path = tmp_path / "text.weights.h5"
    path.write_text("no weights")
    with pytest.raises(ModelError, match=r"text\.weights\.h5: not the weights of small.* found no HDF5 file"):
        load_backbone_file(build(), path, "small")


def test_run_of_other_classes_leaves_its_last_layer(tmp_path):
    """All but the classes' layer is the run's; that one keeps the values it had, and is named."""
    saved = build(seed=9)
    saved.save_weights(tmp_path / RUN_WEIGHTS)
    loaded = build(classes=5)
    before = loaded.get_layer("classes").get_weights()
    left = load_run_weights(loaded, tmp_path)
    assert sorted(left) == ["classes/bias", "classes/kernel"]
    for mine, theirs in zip(loaded.weights[:-2], saved.weights[:-2], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(loaded.get_layer("classes").get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert load_run_weights(build(), tmp_path) == []


def test_run_of_another_network_is_refused(tmp_path):
    """More layers, or all of other widths: expected and found are in the message."""
    build().save_weights(tmp_path / RUN_WEIGHTS)
    with pytest.raises(ModelError, match=r"of another network: expected 32 arrays .* found 26 arrays"):
        load_run_weights(build(blocks=5), tmp_path)
    with pytest.raises(ModelError, match=r"of another network: .*of them don't fit"):
        load_run_weights(build(width=12), tmp_path)


def test_run_that_is_damaged_is_refused(tmp_path):
    """A file cut short is named."""
    build().save_weights(tmp_path / RUN_WEIGHTS)
    path = tmp_path / RUN_WEIGHTS
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match="can't be read as Keras weights"):
        load_run_weights(build(), tmp_path)
