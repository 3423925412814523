"""Which backbones can be asked for by name, how each wants its pixels, and where its pyramid is.

Owns the names of ``model.backbone`` that ``keras.applications`` and KerasHub give without a download; builds
them with random weights. A KerasHub preset brings a backbone of its own and isn't listed.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import keras

from detector.errors import SettingsError
from detector.training.families.plain import PLAIN, PLAIN_ENDS, PLAIN_WIDTHS, build_plain

Model = Any  # keras ships no types that mypy follows here
Preprocessing = Literal["none", "minus_one_to_one", "zero_to_one", "zero_to_one_standardised", "caffe"]
MEAN_RGB = (0.485, 0.456, 0.406)  # of ImageNet in 0..1, as Keras and torchvision subtract them
DEVIATION_RGB = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class CatalogueEntry:
    """One backbone.

    ``build`` makes its model for a canvas of so many pixels. A level's map is the last layer of exactly its
    size whose name matches ``ends``; a KerasHub backbone says itself (``ends`` None).
    """

    build: Callable[[int], Model]
    preprocessing: Preprocessing
    ends: str | None


def find_backbone(name: str, widths: Sequence[int] | None = None) -> CatalogueEntry:
    """Find a backbone by name; a mobilenet's may end with its width, as in mobilenet_v2_0.5.

    ``widths`` are the plain one's. Raises ``SettingsError`` for a name that is none, with the nearest.
    """
    if name == PLAIN:
        plain = partial(build_plain, widths=widths or PLAIN_WIDTHS)
        return CatalogueEntry(plain, "minus_one_to_one", PLAIN_ENDS)
    base, alpha = _split_width(name)
    if base in _APPLICATIONS:
        constructor, preprocessing, ends = _APPLICATIONS[base]
        return CatalogueEntry(_applications_builder(constructor, alpha), preprocessing, ends)
    if name in _RESNETS:
        return CatalogueEntry(_resnet_builder(_RESNETS[name]), "zero_to_one_standardised", None)
    near = difflib.get_close_matches(name, list_backbones(), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise SettingsError(f"model.backbone: {name!r} is none of {', '.join(list_backbones())}{hint}")


def list_backbones() -> list[str]:
    """List the names that can be asked for."""
    return sorted([PLAIN, *_APPLICATIONS, *_RESNETS])


def preprocess_pixels(pixels: Any, preprocessing: Preprocessing) -> Any:  # noqa: ANN401 (tensors)
    """Turn pixels 0..255, RGB, into what a backbone was trained with; a part of its graph, in float32.

    ``zero_to_one_standardised`` divides by 255, subtracts ImageNet's means and divides by its deviations;
    ``caffe`` subtracts means from BGR.
    """
    if preprocessing == "minus_one_to_one":
        return scale_pixels(pixels, 1 / 127.5, -1.0)
    if preprocessing == "zero_to_one":
        return scale_pixels(pixels, 1 / 255, 0.0)
    if preprocessing == "zero_to_one_standardised":
        offset = [-mean / deviation for mean, deviation in zip(MEAN_RGB, DEVIATION_RGB, strict=True)]
        return scale_pixels(pixels, [1 / 255 / deviation for deviation in DEVIATION_RGB], offset)
    if preprocessing == "caffe":
        return scale_pixels(keras.ops.flip(pixels, axis=-1), 1.0, [-mean for mean in _CAFFE_MEAN_BGR])
    return pixels


def scale_pixels(pixels: Any, scale: Any, offset: Any) -> Any:  # noqa: ANN401 (numbers, or one a channel)
    """Multiply and add, in float32 whatever the precision of the rest."""
    # Half precision has too few digits for 255 levels around a mean.
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="pixel_scale")(pixels)


def standardise_efficientnet(model: Model) -> None:
    """Set the means and deviations that EfficientNet's own first layers apply, in place.

    Keras builds it without them when no weights are downloaded, and its weight files hold variances that a
    layer of the downloading constructor alone completes; this gives both the same right values.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.variables:
            layer.adapt_mean.assign(list(MEAN_RGB))
            layer.adapt_variance.assign([deviation**2 for deviation in DEVIATION_RGB])
            layer.finalize_state()


def _split_width(name: str) -> tuple[str, float | None]:
    found = re.fullmatch(r"(mobilenet_v(?:1|2|3_small|3_large))_(\d*\.\d+)", name)
    return (found[1], float(found[2])) if found else (name, None)


def _applications_builder(constructor: str, alpha: float | None) -> Callable[[int], Model]:
    width = {} if alpha is None else {"alpha": alpha}

    def build(input_px: int) -> Model:
        shape = (input_px, input_px, 3)
        return getattr(keras.applications, constructor)(
            include_top=False, weights=None, input_shape=shape, **width
        )

    return build


def _resnet_builder(blocks: list[int]) -> Callable[[int], Model]:
    def build(input_px: int) -> Model:
        from keras_hub.models import ResNetBackbone  # starts slowly, and most backbones need it not

        return ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[7],
            stackwise_num_filters=[64, 128, 256, 512],
            stackwise_num_blocks=blocks,
            stackwise_num_strides=[1, 2, 2, 2],
            block_type="basic_block",
            image_shape=(input_px, input_px, 3),
        )

    return build


# The ends are those of He et al.'s C2..C5 where a stage has one output, and the expanded maps before a
# stride where blocks are inverted, as SSD takes them of MobileNetV2 (Sandler et al. 2018, section 6.2).
_ACTIVATION = r"(re_?lu|activation)(_\d+)?$"
_EFFICIENT = r"(activation|add)$"
_APPLICATIONS: dict[str, tuple[str, Preprocessing, str]] = {
    "mobilenet_v1": ("MobileNet", "minus_one_to_one", _ACTIVATION),
    "mobilenet_v2": ("MobileNetV2", "minus_one_to_one", _ACTIVATION),
    "mobilenet_v3_small": ("MobileNetV3Small", "none", _ACTIVATION),
    "mobilenet_v3_large": ("MobileNetV3Large", "none", _ACTIVATION),
    **{f"resnet_{n}": (f"ResNet{n}", "caffe", r"(_out|conv1_relu)$") for n in (50, 101, 152)},
    **{
        f"resnet_{n}_v2": (f"ResNet{n}V2", "minus_one_to_one", r"(_out|post_relu|conv1_conv)$")
        for n in (50, 101, 152)
    },
    **{f"densenet_{n}": (f"DenseNet{n}", "zero_to_one_standardised", r"relu$") for n in (121, 169, 201)},
    **{f"efficientnet_b{n}": (f"EfficientNetB{n}", "none", _EFFICIENT) for n in range(8)},
    **{f"efficientnet_v2_b{n}": (f"EfficientNetV2B{n}", "none", _EFFICIENT) for n in range(4)},
    **{f"efficientnet_v2_{n.lower()}": (f"EfficientNetV2{n}", "none", _EFFICIENT) for n in "SML"},
    **{
        f"convnext_{n.lower()}": (f"ConvNeXt{n}", "none", r"^(add|layer_normalization)(_\d+)?$")
        for n in ("Tiny", "Small", "Base", "Large")
    },
}
_RESNETS = {"resnet_18": [2, 2, 2, 2], "resnet_34": [3, 4, 6, 3]}  # KerasHub's; Keras has none so small
