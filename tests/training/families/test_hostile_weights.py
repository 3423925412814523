"""Weights and presets of strangers: nothing in them is run, no other file is read, each is refused by its name."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from detector.errors import ModelError
from detector.models.signature import locate_model
from detector.training.families.presets import find_preprocessing, open_preset
from detector.training.families.weights import (
    PRESET_CONFIG,
    RUN_WEIGHTS,
    load_backbone_file,
    load_run_weights,
)

_RETINANET = "keras_hub.src.models.retinanet.retinanet_backbone"


def build():
    """Build a small network without anything odd."""
    pixels = keras.Input((8, 8, 3))
    return keras.Model(pixels, layers.Conv2D(4, 3, padding="same")(pixels))


@pytest.fixture
def marker(tmp_path):
    """Give a file that a hostile layer makes when it's called."""
    return tmp_path / "ran"


@pytest.fixture
def hostile(marker):
    """Give a network whose Lambda layer makes the marker."""
    pixels = keras.Input((8, 8, 3))
    run = eval(f"lambda pixels: (open({str(marker)!r}, 'w').close(), pixels)[1]")
    model = keras.Model(pixels, layers.Lambda(run, output_shape=(8, 8, 3))(pixels))
    model(np.zeros((1, 8, 8, 3)))
    assert marker.exists()
    marker.unlink()
    return model


@pytest.mark.parametrize("name", ["evil.keras", "evil.h5", "evil.weights.h5"])
def test_lambda_in_a_file_of_weights_is_not_run(tmp_path, hostile, marker, name):
    """As weights of a backbone and of an earlier run; and as a model to score with it's no form at all."""
    (tmp_path / "run").mkdir()
    path = tmp_path / name
    hostile.save_weights(path) if name.endswith(".weights.h5") else hostile.save(path)
    shutil.copy(path, tmp_path / "run" / RUN_WEIGHTS)
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="not the weights of small"):
        load_backbone_file(build(), path, "small")
    with pytest.raises(ModelError, match=r"of another network|can't be read as Keras weights"):
        load_run_weights(build(), tmp_path / "run")
    with pytest.raises(ModelError, match=r"may hold Python code \(Lambda layers\).*safe_mode=True"):
        locate_model(path)
    assert not marker.exists()


def write_preset(folder, config, converter=None):
    """Write a preset's folder."""
    folder.mkdir()
    (folder / PRESET_CONFIG).write_text(json.dumps(config))
    build().save_weights(folder / RUN_WEIGHTS)
    if converter is not None:
        (folder / "image_converter.json").write_text(json.dumps(converter))
    return str(folder)


def test_lambda_inside_a_preset_is_refused(tmp_path, hostile, marker):
    """A RetinaNet whose image encoder holds it: Keras's safe mode is on, whatever the file says."""
    config = {
        "module": _RETINANET, "class_name": "RetinaNetBackbone", "registered_name": "keras_hub>RetinaNetBackbone",
        "config": {
            "image_encoder": keras.saving.serialize_keras_object(hostile), "min_level": 3, "max_level": 5,
            "use_p5": False,
        },
    }  # fmt: skip
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"Lambda|could not be deserialized"):
        open_preset(write_preset(tmp_path / "preset", config), 64)
    assert not marker.exists()


@pytest.mark.parametrize("registered", ["keras_hub>ResNetBackbone", None])
def test_preset_that_names_any_callable_is_refused(tmp_path, marker, registered):
    """A configuration or image converter that names os.system is no class of Keras's, and isn't called."""
    call = {"module": "os", "class_name": "system", "config": {"command": f"touch {marker}"}}
    preset = write_preset(
        tmp_path / "preset", call | {"registered_name": registered}, call | {"registered_name": None}
    )
    with pytest.raises(ModelError, match="can't be loaded"):
        open_preset(preset, 64)
    with pytest.raises(ModelError, match="image converter"):
        find_preprocessing(preset)
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["external storage", "external link"])
def test_weights_lead_to_no_other_file(tmp_path, kind):
    """HDF5 may name other files for its arrays: a way to read what the maker can't see."""
    path, kernel = tmp_path / RUN_WEIGHTS, "layers/conv2d/vars/0"
    saved = build()
    saved.save_weights(path)
    shutil.copy(path, tmp_path / "outside.h5")
    values = saved.get_weights()[0]
    (tmp_path / "outside.bin").write_bytes(np.ones_like(values).tobytes())
    with h5py.File(path, "r+") as file:
        del file[kernel]
        if kind == "external link":
            file[kernel] = h5py.ExternalLink(str(tmp_path / "outside.h5"), kernel)
        else:
            whole = [(str(tmp_path / "outside.bin"), 0, values.nbytes)]
            file.create_dataset(kernel, values.shape, "float32", external=whole)
    loaded = build()
    before = loaded.get_weights()
    with pytest.raises(ModelError):
        load_backbone_file(loaded, path, "small")
    with pytest.raises(ModelError):
        load_run_weights(loaded, tmp_path)
    for mine, old in zip(loaded.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
