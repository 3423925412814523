"""Backbones: from pixels to feature maps by level, whatever made the network and its weights.

Owns one shape for all of them: a Keras model with its own preprocessing inside, and its layers by stage.
Level n has a stride of 2^n pixels. Refuses levels that a backbone doesn't have and weights that don't fit.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from detector.errors import SettingsError
from detector.training.families.backbone_catalogue import (
    find_backbone,
    preprocess_pixels,
    standardise_efficientnet,
)
from detector.training.families.presets import load_preset_backbone
from detector.training.families.weights import load_backbone_file, locate_weights

Model = Any  # keras ships no types that mypy follows here
Maps = Mapping[int, Any]  # Keras's symbolic tensors by level
_COARSEST = 5
_IMAGE_AXES = 4


@dataclass(frozen=True)
class Backbone:
    """One built backbone.

    ``model`` takes float32 pixels 0 to 255 [B, S, S, 3] and gives a dict of feature maps P3, P4 and so on,
    [B, S / 2^level, S / 2^level, width] (a SavedModel takes no numbers as keys). ``stages`` are its layers
    that have weights, finest first: up to stride 2 (or a stem's 4), then one list for each halving.
    """

    model: Model
    stages: Sequence[Sequence[Any]]

    @property
    def levels(self) -> tuple[int, ...]:
        """Give the levels, finest first."""
        return tuple(sorted(self.maps))

    @property
    def maps(self) -> Maps:
        """Give the model's symbolic outputs by level, to build on."""
        return read_levels(self.model.output)


def build_backbone(
    name: str | None,
    *,
    input_px: int,
    levels: tuple[int, int],
    weights: str | None = None,
    widths: Sequence[int] | None = None,
) -> Backbone:
    """Build the backbone of ``model.backbone`` with the weights of ``model.weights``.

    ``levels`` are the finest and the coarsest of the maps. ``weights`` is as ``weights.locate_weights``
    takes it: a KerasHub preset brings its own network, so ``name`` is None then; the folder of an earlier
    run leaves the backbone random, for its weights are the whole detector's (``weights.load_run_weights``).
    ``widths`` are the plain backbone's alone: channels at stride 2, 4, 8, .... Raises ``SettingsError`` for
    names and levels that aren't there, ``ModelError`` for weights that don't fit.
    """
    source = locate_weights(weights)
    if source.kind == "preset":
        if name is not None:
            raise SettingsError(
                f"model.backbone is {name}, but the preset {source.place} of model.weights brings its own; "
                "leave model.backbone out"
            )
        body, preprocess = load_preset_backbone(source.place, input_px)
        return assemble_backbone(body, find_pyramid(body), preprocess, levels=levels)
    if name is None:
        raise SettingsError("model.backbone: name one; only a preset of KerasHub brings its own")
    entry = find_backbone(name, widths)
    body = entry.build(input_px)
    if source.kind == "file":
        load_backbone_file(body, source.path, name)
    standardise_efficientnet(body)
    maps = find_pyramid(body) if entry.ends is None else find_maps(body, entry.ends)
    return assemble_backbone(
        body, maps, lambda pixels: preprocess_pixels(pixels, entry.preprocessing), levels=levels
    )


def find_maps(body: Model, ends: str) -> dict[int, Any]:
    """Find the map of each level: the last layer of exactly its size whose name matches ``ends``."""
    input_px = body.input_shape[1]
    sizes = {input_px >> level: level for level in range(1, _COARSEST + 1) if input_px % (1 << level) == 0}
    found: dict[int, Any] = {}
    for operation in body.operations[1:]:  # ConvNeXt adds without a layer
        shape = operation.output.shape
        if len(shape) == _IMAGE_AXES and shape[1] in sizes and re.search(ends, operation.name):
            found[sizes[shape[1]]] = operation.output
    return found


def find_pyramid(body: Model) -> dict[int, Any]:
    """Give the maps that a KerasHub backbone names itself, as P2, P3 and so on."""
    return read_levels(body.pyramid_outputs)


def read_levels(maps: Mapping[str, Any]) -> dict[int, Any]:
    """Turn the keys P3, P4 and so on into levels."""
    return {int(name.removeprefix("P")): output for name, output in maps.items()}


def name_levels(maps: Maps) -> dict[str, Any]:
    """Turn levels into the keys P3, P4 and so on."""
    return {f"P{level}": output for level, output in maps.items()}


def assemble_backbone(
    body: Model, maps: Maps, preprocess: Callable[[Any], Any], *, levels: tuple[int, int]
) -> Backbone:
    """Put preprocessing before a network and cut it off behind the wanted maps."""
    wanted = range(levels[0], levels[1] + 1)
    missing = [level for level in wanted if level not in maps]
    if missing or not wanted:
        raise SettingsError(
            f"model.levels is [{levels[0]}, {levels[1]}], but {body.name} has levels {sorted(maps)}: take "
            "the finest and the coarsest among them, or another backbone"
        )
    cut = keras.Model(
        body.inputs, name_levels({level: maps[level] for level in wanted}), name=f"{body.name}_body"
    )
    pixels = keras.Input(body.input_shape[1:], name="pixels")
    model = keras.Model(pixels, cut(preprocess(pixels)), name="backbone")
    return Backbone(model, list_stages(cut))


def list_stages(body: Model) -> list[list[Any]]:
    """List the layers that have weights by the stride that they reach, finest first."""
    input_px = body.input_shape[1]
    stages: list[list[Any]] = [[]]
    level = 0
    for layer in body.layers[1:]:
        shape: tuple[int, ...] = getattr(layer.output, "shape", ())
        # Padding before a stride adds a row or two; a squeeze's 1 x 1 isn't the next level.
        reached = round(math.log2(input_px / shape[1])) if len(shape) == _IMAGE_AXES else level
        if level < reached <= _COARSEST:
            level = reached
            stages.append([])
        if layer.weights:
            stages[-1].append(layer)
    return [stage for stage in [stages[0] + stages[1], *stages[2:]] if stage]
