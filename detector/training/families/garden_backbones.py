"""The model garden's backbones, by the names of ``model.backbone``.

Owns the names and what each needs beside its name: an activation, the decoder over it, the size of canvas.
Refuses what the garden has and detectors can't use: dilated ResNets, vision transformers without a pyramid.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from official.vision.configs import backbones, common, decoders

from detector.errors import SettingsError
from detector.training.families.garden import NORM_MOMENTUM, Network
from detector.training.train_settings import NetworkSettings

_COARSEST_OF_SPINENET = 7
_FINEST, _COARSEST = 2, 7
_BACKBONE_COARSEST = 5


@dataclass(frozen=True)
class Pyramid:
    """A backbone and the decoder over it, as the garden's configs say them, for levels finest to coarsest."""

    backbone: Any
    decoder: Any
    norm_activation: Any
    levels: tuple[int, int]
    is_mobile: bool  # the garden gives such backbones heads of separable convolutions


def describe_pyramid(
    settings: NetworkSettings,
    *,
    default_backbone: str,
    default_levels: tuple[int, int],
    default_width: int = 256,
) -> Pyramid:
    """Say which pyramid the settings ask for.

    Raises ``SettingsError`` for an unknown backbone, levels that it can't have, a canvas that it can't take,
    or a width for one that has its own.
    """
    name = settings.backbone or default_backbone
    kind, options, activation = _find(name)
    levels = settings.levels or default_levels
    _check_levels(levels, settings.architecture)
    norm = common.NormActivation(activation=activation, use_sync_bn=False, norm_momentum=NORM_MOMENTUM)
    if kind.startswith("spinenet"):
        _check_spinenet(name, settings, levels)
        options |= {"min_level": levels[0], "max_level": levels[1]}
        decoder = decoders.Decoder(type="identity")
    else:
        fpn = decoders.FPN(num_filters=settings.pyramid_width or default_width)
        decoder = decoders.Decoder(type="fpn", fpn=fpn)
    backbone = backbones.Backbone(type=kind)
    setattr(backbone, kind, type(getattr(backbone, kind))(**options))
    return Pyramid(backbone, decoder, norm, levels, kind == "spinenet_mobile")


def list_garden_backbones() -> list[str]:
    """List the names that can be asked for."""
    return list(_BACKBONES)


def list_stages(backbone: Network, canvas_px: int) -> list[list[Any]]:
    """List a backbone's layers by stage, finest first: a new stage begins where the map first gets smaller.

    ``backbone`` is a functional model over a canvas of ``canvas_px``.
    """
    stages: list[list[Any]] = [[]]
    smallest = canvas_px
    for layer in backbone.layers:
        side = _measure_side(layer)
        if side is not None and side < smallest and any(each.weights for each in stages[-1]):
            stages.append([])
        smallest = min(smallest, side or smallest)
        stages[-1].append(layer)
    return stages


def _measure_side(layer: Any) -> int | None:  # noqa: ANN401 (of tf_keras)
    shape = layer.output_shape
    while isinstance(shape, (list, dict)):
        shape = next(iter(shape.values() if isinstance(shape, dict) else shape))
    return int(shape[1]) if len(shape) == 4 and shape[1] is not None else None  # noqa: PLR2004 (pictures)


def _find(name: str) -> tuple[str, dict[str, Any], str]:
    if name not in _BACKBONES:
        near = difflib.get_close_matches(name, _BACKBONES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(
            f"model.backbone: {name!r} is none of the model garden's {', '.join(_BACKBONES)}{hint}"
        )
    kind, options, activation = _BACKBONES[name]
    return kind, dict(options), activation


def _check_levels(levels: Sequence[int], architecture: str) -> None:
    finest, coarsest = levels
    if not (_FINEST <= finest <= _BACKBONE_COARSEST and finest <= coarsest <= _COARSEST):
        raise SettingsError(
            f"model.levels is [{finest}, {coarsest}]: {architecture} takes a finest of {_FINEST} to "
            f"{_BACKBONE_COARSEST} and a coarsest up to {_COARSEST}, in this order"
        )


def _check_spinenet(name: str, settings: NetworkSettings, levels: tuple[int, int]) -> None:
    if settings.pyramid_width is not None:
        raise SettingsError(f"model.pyramid_width: {name} is a pyramid of a width of its own; leave it out")
    # Its blocks go up and down between all levels to 7, whichever of them come out.
    if settings.input_px % 2**_COARSEST_OF_SPINENET:
        raise SettingsError(
            f"model.input_px is {settings.input_px}: {name} needs a multiple of {2**_COARSEST_OF_SPINENET}"
        )
    if levels[0] < 3:  # noqa: PLR2004 (its stem ends at stride 4)
        raise SettingsError(f"model.levels is {list(levels)}: {name} begins at level 3")


def _list_backbones() -> dict[str, tuple[str, dict[str, Any], str]]:
    # Activations are those of the garden's own detection configs.
    found: dict[str, tuple[str, dict[str, Any], str]] = {}
    for depth in (10, 18, 26, 34, 50, 101, 152, 200):
        found[f"resnet_{depth}"] = ("resnet", {"model_id": depth}, "relu")
    for number in range(8):
        found[f"efficientnet_b{number}"] = ("efficientnet", {"model_id": f"b{number}"}, "swish")
    for name, model_id in _MOBILENETS.items():
        found[name] = ("mobilenet", {"model_id": model_id}, "relu6")
    for chip in ("CPU", "DSP", "EdgeTPU", "GPU"):
        found[f"mobiledet_{chip.lower()}"] = ("mobiledet", {"model_id": f"MobileDet{chip}"}, "relu6")
    for size in ("49S", "49", "96", "143", "143L", "190"):
        found[f"spinenet_{size.lower()}"] = ("spinenet", {"model_id": size}, "swish")
    for size in ("49XS", "49S", "49"):
        found[f"spinenet_mobile_{size.lower()}"] = ("spinenet_mobile", {"model_id": size}, "swish")
    return found


_MOBILENETS = {
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_edgetpu": "MobileNetV3EdgeTPU",
    "mobilenet_multi_avg": "MobileNetMultiAVG",
    "mobilenet_multi_max": "MobileNetMultiMAX",
    "mobilenet_v4_conv_small": "MobileNetV4ConvSmall",
    "mobilenet_v4_conv_medium": "MobileNetV4ConvMedium",
    "mobilenet_v4_conv_large": "MobileNetV4ConvLarge",
}
_BACKBONES = _list_backbones()
