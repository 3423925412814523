"""The anchors of a pipeline.config as ours: sides in strides of the finest level, and height / width.

Owns the geometry: the API's ratios are width / height, and its sizes are pixels, fractions of the canvas or
strides. Every level here has the sizes of the one before doubled.
"""

import math

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger
from detector.training.pipeline_config.network import Network, convert_levels

_LEVELS = {"retinanet": (3, 7), "garden_retinanet": (3, 7), "faster_rcnn": (2, 6)}  # of their papers
_POSITIVE = {"anchor_scale", "min_scale", "scales", "height", "width", "aspect_ratios"}
_LOWEST_SCALE = (
    0.1  # of the first layer where boxes are reduced, multiple_grid_anchor_generator.create_ssd_anchors
)


def convert_anchors(network: Network, ledger: Ledger) -> None:
    """Convert the anchor generator of a model."""
    place = "first_stage_anchor_generator" if network.model.name == "faster_rcnn" else "anchor_generator"
    generator = network.model.find(place)
    chosen = generator.only() if generator else None
    if chosen is None:
        return
    convert = {
        "multiscale_anchor_generator": _convert_multiscale,
        "ssd_anchor_generator": _convert_ssd,
        "grid_anchor_generator": _convert_grid,
    }.get(chosen.name)
    if convert is None:
        advice = "sizes of each layer by hand: leave model.anchors out, and they are chosen from the data"
        ledger.refuse(chosen, advice)
        return
    if any(float(child.value or 0) <= 0 for child in chosen.children if child.name in _POSITIVE):
        ledger.refuse(chosen, "a size or ratio is not above 0: set model.anchors, or leave it to the data")
        return
    convert(chosen, network, ledger)
    _convert_ratios(chosen, ledger)


def _convert_multiscale(generator: Node, network: Network, ledger: Ledger) -> None:
    # Lin et al., Focal Loss (2017): octave sizes anchor_scale * 2^(i / n) strides at every level.
    count = max(1, int(generator.number("scales_per_octave")))
    sizes = [generator.number("anchor_scale") * 2 ** (number / count) for number in range(count)]
    nodes = generator.find("anchor_scale"), generator.find("scales_per_octave")
    _set_sizes(sizes, nodes, "", ledger)
    if network.levels is None:
        convert_levels(generator, ledger)
        return
    levels = int(generator.number("min_level")), int(generator.number("max_level"))
    for node in (generator.find("min_level"), generator.find("max_level")):
        if levels == network.levels:
            ledger.same(node, "the levels of the pyramid, as model.levels says")
        else:
            ledger.refuse(node, "anchors are on every level of the pyramid: model.levels")


def _convert_ssd(generator: Node, network: Network, ledger: Ledger) -> None:
    scales = [float(node.value or 0) for node in generator.find_all("scales")]
    smallest = min(scales) if scales else generator.number("min_scale")
    reduced = generator.find("reduce_boxes_in_lowest_layer")
    if not scales and generator.get("reduce_boxes_in_lowest_layer"):
        smallest = min(smallest, _LOWEST_SCALE)
    stride = 2 ** _fix_finest(network, ledger)
    side = max(smallest * network.input_px / stride, 0.1)
    nodes = (
        *(generator.find(name) for name in ("min_scale", "max_scale")),
        reduced,
        *generator.find_all("scales"),
    )
    change = (
        f"from {smallest:g} of the canvas, {side * stride:g} px, doubled from level to level, two an octave"
    )
    _set_sizes([side, side * math.sqrt(2)], nodes, change, ledger)


def _convert_grid(generator: Node, network: Network, ledger: Ledger) -> None:
    given = generator.find_all("scales")
    scales = sorted(float(node.value or 0) for node in given) or [1.0]
    sides = [generator.number(name) for name in ("height", "width")]
    base = math.sqrt(sides[0] * sides[1])
    finest = _fix_finest(network, ledger)
    octaves = sorted({round(math.log2(scale / scales[0]) % 1, 3) % 1 for scale in scales})
    sizes = [base * scales[0] * 2**octave / 2**finest for octave in octaves]
    change = (
        f"{base * scales[0]:g} px at the pyramid's finest level, stride {2**finest}, doubled at each next"
    )
    nodes = (*given, generator.find("height"), generator.find("width"))
    _set_sizes(sizes, nodes, change, ledger)


def _fix_finest(network: Network, ledger: Ledger) -> int:
    if network.levels is not None:
        return network.levels[0]
    levels = _LEVELS[network.architecture]
    ledger.convert(
        "model.levels", list(levels), why="not in the config; the sides of anchors refer to the finest"
    )
    return levels[0]


def _set_sizes(sizes: list[float], nodes: tuple[Node | None, ...], change: str, ledger: Ledger) -> None:
    ledger.convert("model.anchors.sizes", [round(size, 3) for size in sizes], *nodes, nearest=change)


def _convert_ratios(generator: Node, ledger: Ledger) -> None:
    given = generator.find_all("aspect_ratios")
    if given:
        ratios = [round(1 / float(node.value or 1), 3) for node in given]
        ledger.convert(
            "model.anchors.aspect_ratios", ratios, *given, why="height / width, not width / height"
        )
