"""KerasHub presets: a backbone with its weights from a preset's folder, or from a hub by name.

Owns loading them and finding how they want their pixels. Refuses presets that are no backbone of pictures
with a pyramid.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detector.errors import ModelError
from detector.training.families.backbone_catalogue import Preprocessing, preprocess_pixels, scale_pixels
from detector.training.families.weights import PRESET_CONFIG

Model = Any  # keras ships no types that mypy follows here
Preprocess = Callable[[Any], Any]


def load_preset_backbone(place: str, input_px: int) -> tuple[Model, Preprocess]:
    """Load the backbone of a preset for canvases of ``input_px``, and what its pixels go through before.

    ``place`` is a folder or a name. Of a whole RetinaNet, this is the network below its own pyramid. Raises
    ``ModelError`` for a preset that can't be fetched or read, or whose backbone has no pyramid.
    """
    model = open_preset(place, input_px)
    if hasattr(model, "image_encoder"):
        model = resize_encoder(model.image_encoder, input_px)
    if not getattr(model, "pyramid_outputs", None):
        raise ModelError(
            f"{place}: a {type(model).__name__} has no feature maps by level; take a preset of ResNet, "
            "EfficientNet, DenseNet, CSPNet or RetinaNet"
        )
    return model, find_preprocessing(place)


def is_preset_of(place: str, class_name: str) -> bool:
    """Say whether a preset is of a KerasHub class, such as RetinaNetBackbone; asks no hub."""
    import keras_hub

    config = Path(place) / PRESET_CONFIG
    if config.is_file():
        return str(json.loads(config.read_text(encoding="utf-8")).get("class_name")) == class_name
    return place in getattr(keras_hub.models, class_name).presets


def load_preset_retinanet(place: str, input_px: int) -> tuple[Model, Preprocess]:
    """Load a RetinaNet's backbone and pyramid, a model that gives P3 and so on, and its pixels' way."""
    from keras_hub.models import RetinaNetBackbone

    loaded = open_preset(place, input_px)
    encoder = resize_encoder(loaded.image_encoder, input_px)
    shape = {"image_encoder": encoder, "image_shape": (input_px, input_px, 3)}
    model = RetinaNetBackbone(**{**loaded.get_config(), **shape})
    model.set_weights(loaded.get_weights())
    return model, find_preprocessing(place)


def resize_encoder(encoder: Model, input_px: int) -> Model:
    """Make a KerasHub backbone again for a canvas of known size, from which stages and levels are told."""
    config = {**encoder.get_config(), "image_shape": (input_px, input_px, 3)}
    resized = type(encoder).from_config(config)
    resized.set_weights(encoder.get_weights())
    return resized


def open_preset(place: str, input_px: int) -> Model:
    """Load the whole backbone class of a preset with its weights; see ``load_preset_backbone``."""
    import keras_hub

    try:
        return keras_hub.models.Backbone.from_preset(place, image_shape=(input_px, input_px, 3))
    except Exception as error:  # a hub's clients raise classes of their own
        text = " ".join(str(error).split())[:300]
        raise ModelError(
            f"model.weights: the preset {place} can't be loaded ({type(error).__name__}: {text}); by name it "
            "needs a network: else fetch it elsewhere and give its folder"
        ) from error


def find_preprocessing(place: str, *, otherwise: Preprocessing = "zero_to_one_standardised") -> Preprocess:
    """Find what a preset's pixels are multiplied by and what is added.

    A preset without an image converter was saved from a bare backbone; ``otherwise`` is what such a one is
    taken to have learnt on: pixels standardised by ImageNet's means, as KerasHub's own ResNets have. Raises
    ``ModelError`` for a converter that can't be loaded.
    """
    import keras_hub
    from keras_hub.src.utils.preset_utils import IMAGE_CONVERTER_CONFIG_FILE, check_file_exists

    if not check_file_exists(place, IMAGE_CONVERTER_CONFIG_FILE):
        return lambda pixels: preprocess_pixels(pixels, otherwise)
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(place)
    except Exception as error:  # the classes of open_preset's, and those of whatever the file names
        text = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{place}: its image converter can't be loaded ({type(error).__name__}: {text})"
        ) from error
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return lambda pixels: scale_pixels(pixels, scale, offset)
