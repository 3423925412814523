"""Backbones: maps of the right sizes, pixels as each wants them, stages, presets and refusals."""

import keras
import numpy as np
import pytest

from detector.errors import ModelError, SettingsError
from detector.training.families.backbone_catalogue import list_backbones
from detector.training.families.backbones import build_backbone
from detector.training.families.plain import build_plain

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
IMAGENET = "models/mobilenet_v2_1.0_224_imagenet_notop.weights.h5"


def make_preset(folder, *, converter=None):
    """Save a small ResNet of KerasHub as a preset; give the network."""
    from keras_hub.models import ResNetBackbone

    saved = ResNetBackbone(
        [64], [7], [64, 64, 64, 64], [1, 1, 1, 1], [1, 2, 2, 2], "basic_block", image_shape=(None, None, 3)
    )
    saved.save_to_preset(str(folder))
    if converter is not None:
        converter.save_to_preset(str(folder))
    return saved


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("plain", {2: 32, 3: 64, 4: 96, 5: 128}),
        ("mobilenet_v1_0.25", {2: 32, 3: 64, 4: 128, 5: 256}),
        ("mobilenet_v2", {2: 144, 3: 192, 4: 576, 5: 1280}),
        ("mobilenet_v3_small", {2: 72, 3: 96, 4: 288, 5: 576}),
        ("resnet_18", {2: 64, 3: 128, 4: 256, 5: 512}),
        ("resnet_50", {2: 256, 3: 512, 4: 1024, 5: 2048}),
        ("resnet_50_v2", {2: 256, 3: 512, 4: 1024, 5: 2048}),
        ("densenet_121", {2: 256, 3: 512, 4: 1024, 5: 1024}),
        ("efficientnet_b0", {2: 144, 3: 240, 4: 672, 5: 1280}),
        ("efficientnet_v2_b0", {2: 32, 3: 192, 4: 672, 5: 1280}),
        ("convnext_tiny", {2: 96, 3: 192, 4: 384, 5: 768}),
    ],
)
def test_maps_have_the_size_and_width_of_their_level(name, widths):
    """Level n of a 64 px canvas measures 64 / 2^n, and is the widest output of its stage."""
    backbone = build_backbone(name, input_px=64, levels=(2, 5))
    shapes = {level: tuple(found.shape[1:]) for level, found in backbone.maps.items()}
    assert shapes == {level: (64 >> level, 64 >> level, width) for level, width in widths.items()}
    assert backbone.levels == (2, 3, 4, 5)
    stages = [layer for stage in backbone.stages for layer in stage]
    assert len(backbone.stages) in {4, 5}
    in_stages = sum(len(layer.weights) for layer in stages)
    assert in_stages == len(backbone.model.weights)
    assert len({id(layer) for layer in stages}) == len(stages)


def test_levels_cut_off_what_they_do_not_need():
    """Levels 3 and 4 leave out the layers of level 5."""
    whole, part = (build_backbone("mobilenet_v2", input_px=64, levels=(3, last)) for last in (5, 4))
    assert part.levels == (3, 4)
    assert part.model.count_params() < 0.5 * whole.model.count_params()


def test_plain_widths_are_settable():
    """One width a halving."""
    backbone = build_backbone("plain", input_px=64, levels=(2, 3), widths=(8, 16, 24))
    assert [found.shape[-1] for found in backbone.maps.values()] == [16, 24]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", PIXELS / 127.5 - 1),
        ("resnet_18", (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("resnet_50", PIXELS[..., ::-1] - [103.939, 116.779, 123.68]),
    ],
)
def test_pixels_are_prepared_as_the_weights_learnt_them(name, expected):
    """What goes before the network is -1..1, standardised RGB, or BGR less its means."""
    backbone = build_backbone(name, input_px=64, levels=(3, 3))
    scaled = keras.Model(backbone.model.input, backbone.model.get_layer("pixel_scale").output)
    np.testing.assert_allclose(scaled(PIXELS), expected, atol=1e-3)


def test_efficientnet_standardises_by_itself():
    """Its own first layers give mean 0 and deviation 1, with or without a weights file."""
    backbone = build_backbone("efficientnet_b0", input_px=64, levels=(3, 3))
    body = backbone.model.layers[-1]
    standardised = keras.Model(body.inputs, body.get_layer("stem_conv_pad").input)(PIXELS)
    expected = (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(standardised, expected, atol=1e-3)


@pytest.mark.data
def test_imagenet_file_gives_keras_own_features(data_pack):
    """The coarsest map is what keras.applications computes from the same file."""
    file = str(data_pack / IMAGENET)
    backbone = build_backbone("mobilenet_v2", input_px=64, levels=(3, 5), weights=file)
    theirs = keras.applications.MobileNetV2(include_top=False, weights=file, input_shape=(64, 64, 3))
    np.testing.assert_allclose(backbone.model(PIXELS)["P5"], theirs(PIXELS / 127.5 - 1), atol=1e-3)


@pytest.mark.data
def test_file_of_another_width_is_refused(data_pack):
    """The message names file, expected and found, though the layers are the same."""
    with pytest.raises(
        ModelError, match=r"notop\.weights\.h5: not the weights of mobilenet_v2_0\.5 .* found 260"
    ):
        build_backbone("mobilenet_v2_0.5", input_px=64, levels=(3, 5), weights=str(data_pack / IMAGENET))


def test_weights_file_of_the_plain_backbone_is_loaded(tmp_path):
    """A file of the whole body gives its maps, also when fewer levels are wanted."""
    keras.utils.set_random_seed(9)
    saved = build_plain(64)
    saved.save_weights(tmp_path / "plain.weights.h5")
    backbone = build_backbone("plain", input_px=64, levels=(3, 4), weights=str(tmp_path / "plain.weights.h5"))
    theirs = keras.Model(saved.input, saved.get_layer("level_4_out").output)
    np.testing.assert_allclose(backbone.model(PIXELS)["P4"], theirs(PIXELS / 127.5 - 1), atol=1e-5)


def test_preset_folder_brings_its_network_and_its_pixels(tmp_path):
    """Maps are those of the saved network, on pixels scaled as its image converter says."""
    from keras_hub.layers import ResNetImageConverter

    saved = make_preset(tmp_path, converter=ResNetImageConverter(scale=1 / 100, offset=-0.5))
    backbone = build_backbone(None, input_px=64, levels=(3, 5), weights=str(tmp_path))
    theirs = keras.Model(saved.inputs, saved.pyramid_outputs)(PIXELS / 100 - 0.5)
    for level in ("P3", "P4", "P5"):
        np.testing.assert_allclose(backbone.model(PIXELS)[level], theirs[level], atol=1e-4)
    assert len(backbone.stages) == 5


def test_preset_without_a_pyramid_is_refused(tmp_path):
    """A transformer has no maps by level; the message says which networks have."""
    from keras_hub.models import ViTBackbone

    ViTBackbone((64, 64, 3), 16, 1, 2, 8, 16).save_to_preset(str(tmp_path))
    with pytest.raises(ModelError, match="a ViTBackbone has no feature maps by level"):
        build_backbone(None, input_px=64, levels=(3, 5), weights=str(tmp_path))


def test_refusals_name_the_setting(tmp_path):
    """An unknown name, a level that isn't there, a backbone beside a preset, none at all."""
    with pytest.raises(SettingsError, match=r"model\.backbone: 'resnet_19' .* did you mean resnet_18\?"):
        build_backbone("resnet_19", input_px=64, levels=(3, 5))
    with pytest.raises(
        SettingsError, match=r"model\.levels is \[3, 6\], but plain has levels \[1, 2, 3, 4, 5\]"
    ):
        build_backbone("plain", input_px=64, levels=(3, 6))
    with pytest.raises(SettingsError, match=r"model\.backbone: name one"):
        build_backbone(None, input_px=64, levels=(3, 5))
    make_preset(tmp_path)
    with pytest.raises(
        SettingsError, match=r"model\.backbone is plain, but the preset .* leave model\.backbone out"
    ):
        build_backbone("plain", input_px=64, levels=(3, 5), weights=str(tmp_path))


def test_catalogue_has_what_the_settings_promise():
    """The names that the setting's description lists, and more."""
    assert {
        "plain",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "resnet_18",
        "resnet_50",
        "efficientnet_b0",
    } <= set(list_backbones())
