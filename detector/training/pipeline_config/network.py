"""The network of a pipeline.config: architecture, backbone, canvas and pyramid.

Owns the choice of the nearest of ours. Refuses nothing: a type that has no rule is told, and the family's own
backbone stays.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger

CANVAS_STEP_PX = 32
_COARSEST_LEVEL = 10  # a stride of 1,024 pixels
_WIDE = re.compile(r"mobilenet_v(1|2|3_small|3_large)")
_ARCHITECTURES = {
    "fpn": ("retinanet", ""),
    "bifpn": ("retinanet", "EfficientDet's heads over a plain pyramid instead of BiFPN"),
    "ssd": ("retinanet", "SSD with a pyramid and focal loss; fcos is smaller and has no anchors"),
    "faster_rcnn": ("faster_rcnn", "the model garden's, which always has a pyramid (FPN)"),
    "faster_rcnn_fpn": ("faster_rcnn", ""),
    "rfcn": ("faster_rcnn", "there is no R-FCN"),
    "center_net": ("fcos", "the other family without anchors: there is no CenterNet"),
}


@dataclass(frozen=True)
class Network:
    """What the anchors need to know: the family's name in the config, our architecture, canvas and levels."""

    model: Node
    architecture: str
    input_px: int
    levels: tuple[int, int] | None


def convert_network(model: Node, ledger: Ledger) -> Network:
    """Convert the model (``model.ssd`` and its like) but for anchors, losses and suppression."""
    extractor = model.find("feature_extractor")
    architecture, difference = _ARCHITECTURES[_name_family(model)]
    rule = _find_rule(extractor)
    if rule.get("garden") and architecture == "retinanet":
        architecture = "garden_retinanet"
    ledger.convert("model.architecture", architecture, nearest=difference, origin=model)
    _convert_backbone(extractor, rule, architecture, ledger)
    input_px = _convert_canvas(model, ledger)
    levels = _convert_pyramid(model, extractor, ledger)
    ledger.same(model.find("num_classes"), "data.labels and the annotations say how many classes there are")
    return Network(model, architecture, input_px, levels)


def _name_family(model: Node) -> str:
    extractor = model.find("feature_extractor")
    kind = model.name
    if kind == "ssd" and extractor:
        named = "fpn" in str(extractor.get("type") or "")
        kind = "bifpn" if extractor.find("bifpn") else "fpn" if extractor.find("fpn") or named else kind
    elif model.find("second_stage_box_predictor", "rfcn_box_predictor"):
        kind = "rfcn"
    elif kind == "faster_rcnn" and extractor and extractor.find("fpn"):
        kind = "faster_rcnn_fpn"
    return kind


def _convert_backbone(
    extractor: Node | None, rule: Mapping[str, Any], architecture: str, ledger: Ledger
) -> None:
    given = extractor.find("type") if extractor else None
    if extractor is None or given is None or not rule:
        ledger.refuse(given, f"no such backbone here: choose model.backbone, or leave {architecture} its own")
        return
    name, width = rule["name"], extractor.find("depth_multiplier")
    factor = float(width.value or 1) if width else 1.0
    if _WIDE.fullmatch(name) and factor != 1 and architecture in {"retinanet", "fcos"}:
        ledger.convert("model.backbone", f"{name}_{factor:g}", given, width, nearest=rule.get("nearest", ""))
        return
    ledger.convert("model.backbone", name, given, nearest=rule.get("nearest", ""))
    if factor == 1:
        ledger.same(width, "the backbone's own width")
    else:
        ledger.refuse(width, "this backbone has one width: choose a smaller or larger one by model.backbone")


def _find_rule(extractor: Node | None) -> Mapping[str, Any]:
    kind = str(extractor.get("type") or "") if extractor else ""
    for rule in _read_rules():
        if found := re.search(rule["type"], kind):
            return {**rule, "name": found.expand(rule["name"])}
    return {}


@cache
def _read_rules() -> list[dict[str, Any]]:
    text = files("detector.training.pipeline_config").joinpath("feature_extractors.toml").read_text("utf-8")
    rules: list[dict[str, Any]] = tomllib.loads(text)["backbone"]
    return rules


def _convert_canvas(model: Node, ledger: Ledger) -> int:
    resizer = model.find("image_resizer")
    chosen = resizer.only() if resizer else None
    sides = {
        "fixed_shape_resizer": ("height", "width"),
        "keep_aspect_ratio_resizer": ("min_dimension", "max_dimension"),
    }.get(chosen.name if chosen else "")
    if chosen is None or sides is None:
        ledger.refuse(chosen, "pictures of any size: choose model.input_px, here a square canvas for all")
        ledger.assumptions.append("model.input_px is left at its default: the config names no size")
        return 320
    small, large = (int(chosen.number(side)) for side in sides)
    input_px = max(CANVAS_STEP_PX, -(-max(small, large) // CANVAS_STEP_PX) * CANVAS_STEP_PX)
    changes = _describe_canvas(chosen, small, large, input_px)
    ledger.convert("model.input_px", input_px, *(chosen.find(side) for side in sides), nearest=changes)
    return input_px


def _describe_canvas(chosen: Node, small: int, large: int, input_px: int) -> str:
    changes = []
    if chosen.name == "fixed_shape_resizer":
        changes.append("pictures keep their shape, with a border, and are no longer stretched")
    elif small != large:
        side = round(small * 4 / 3) if small * 4 / 3 < large else large
        changes.append(f"pictures are fitted to the square by their long side; a 4:3 one had {side} px there")
    if input_px != max(small, large):
        changes.append(f"sides are multiples of {CANVAS_STEP_PX}")
    return "; ".join(changes)


def _convert_pyramid(model: Node, extractor: Node | None, ledger: Ledger) -> tuple[int, int] | None:
    pyramid = (extractor.find("fpn") or extractor.find("bifpn")) if extractor else None
    _convert_heads(model, pyramid, ledger)
    if pyramid is None:
        return None
    return convert_levels(pyramid, ledger)


def convert_levels(holder: Node, ledger: Ledger) -> tuple[int, int] | None:
    """Convert ``min_level`` and ``max_level`` of a message, if they are levels of a pyramid."""
    finest, coarsest = levels = int(holder.number("min_level")), int(holder.number("max_level"))
    nodes = holder.find("min_level"), holder.find("max_level")
    if 0 <= finest <= coarsest <= _COARSEST_LEVEL:
        ledger.convert("model.levels", list(levels), *nodes)
        return levels
    for node in nodes:
        ledger.refuse(node, f"no levels of a pyramid, 0 to {_COARSEST_LEVEL}: choose model.levels")
    return None


def _convert_heads(model: Node, pyramid: Node | None, ledger: Ledger) -> None:
    head = model.find("box_predictor", "weight_shared_convolutional_box_predictor")
    if head is None:
        return
    for key, name in (("model.pyramid_width", "depth"), ("model.head_depth", "num_layers_before_predictor")):
        if head.number(name) > 0:
            ledger.convert(key, int(head.number(name)), head.find(name))
    width = pyramid and (pyramid.find("num_filters") or pyramid.find("additional_layer_depth"))
    if width and width.value == head.get("depth"):
        ledger.same(width, "one width for the pyramid and the heads, as model.pyramid_width says")
    else:
        ledger.refuse(width or None, "one width for the pyramid and the heads: model.pyramid_width")
