"""The augmentations of a pipeline.config as ours; what the config doesn't do is turned off.

Owns the mapping, from the API's ``core/preprocessor.py`` and its defaults. The first of several options that
would set one key sets it.
"""

import math
from collections.abc import Callable, Mapping

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger
from detector.training.train_settings import AugmentSettings

Values = Mapping[str, float | list[float]]
_OFF: dict[str, float | list[float]] = {
    key: [1.0, 1.0] if key == "scale" else 0.0 for key in AugmentSettings.model_fields
}
_SSD_SKIPPED = 0.15  # random_coef of ssd_random_crop and its like, where no operations are given
_CROPS = "a region of at least .3 of each side with whole boxes is cut out; the old sizes have no counterpart"


def convert_augmentation(train: Node | None, ledger: Ledger) -> None:
    """Convert ``data_augmentation_options``; keys that none of them sets are off."""
    for option in train.find_all("data_augmentation_options") if train else []:
        step = option.only()
        known = _OPTIONS.get(step.name) if step else None
        if step is not None and known is not None:
            _convert_option(step, known, ledger)
    for key, value in _OFF.items():
        if f"augment.{key}" not in ledger.settings:
            ledger.convert(f"augment.{key}", value, why="off, as in the config")


def _convert_option(step: Node, known: tuple[Callable[[Node], Values], str], ledger: Ledger) -> None:
    compute, nearest = known
    values = {f"augment.{key}": value for key, value in compute(step).items()}
    taken = [key for key in values if key in ledger.settings]
    if taken:
        ledger.refuse(step, f"{taken[0]} is set by an option before: widen it by hand")
        return
    shared = "; ".join(part for part in (nearest, _describe_rest(step)) if part)
    for number, (key, value) in enumerate(values.items()):
        # The option's fields end with its first key; its other keys name it as their origin.
        nodes = () if number else (step,)
        ledger.convert(key, value, *nodes, nearest=shared, origin=step)


def _describe_rest(step: Node) -> str:
    permutation = "keypoint_flip_permutation"
    return "keypoints are not detected here" if step.find(permutation) else ""


def _flip(key: str) -> Callable[[Node], Values]:
    return lambda step: {key: min(1.0, step.number("probability"))}


def _spread(key: str) -> Callable[[Node], Values]:
    def compute(step: Node) -> Values:
        spread = max(1 - step.number("min_delta"), step.number("max_delta") - 1)
        return {key: round(min(1.0, max(0.0, spread)), 3)}

    return compute


def _delta(key: str) -> Callable[[Node], Values]:
    return lambda step: {key: min(1.0, max(0.0, step.number("max_delta")))}


def _scale(low: str, high: str) -> Callable[[Node], Values]:
    return lambda step: {
        "scale": [max(0.01, step.number(low)), max(0.01, step.number(low), step.number(high))]
    }


def _crop(step: Node) -> Values:
    return {"crop": round(1 - step.number("random_coef"), 3)}


def _ssd_crop(step: Node) -> Values:
    given = [node.number("random_coef") for node in step.find_all("operations")]
    skipped = sum(given) / len(given) if given else _SSD_SKIPPED
    return {"crop": round(1 - skipped, 3)}


def _crop_and_pad(step: Node) -> Values:
    # Padded to up to twice the size, a picture's content is shown at up to half.
    holders = [step, *step.find_all("operations")]
    padded = [float(n.value or 1) for h in holders for n in h.find_all("max_padded_size_ratio")]
    smallest = round(1 / max(1.0, *padded, 1.0), 3) if padded else 0.5
    crop = _ssd_crop(step) if step.name.startswith("ssd") else _crop(step)
    return {**crop, "scale": [smallest, 1.0]}


def _square_crop(step: Node) -> Values:
    # A crop of s times the longer side, resized to the canvas, zooms by 1 / s.
    low, high = (max(0.01, step.number(name)) for name in ("scale_min", "scale_max"))
    return {"scale": [round(1 / max(low, high), 3), round(1 / min(low, high), 3)]}


_DISTORTED = {"brightness": 0.125, "contrast": 0.5, "saturation": 0.5, "hue": 0.2}  # of random_distort_color
_BOTH_WAYS = "as far up as down"
_OPTIONS: Mapping[str, tuple[Callable[[Node], Values], str]] = {
    "random_horizontal_flip": (_flip("flip"), ""),
    "random_vertical_flip": (_flip("flip_vertical"), ""),
    "random_adjust_brightness": (_delta("brightness"), ""),
    "random_adjust_hue": (_delta("hue"), ""),
    "random_adjust_contrast": (_spread("contrast"), _BOTH_WAYS),
    "random_adjust_saturation": (_spread("saturation"), _BOTH_WAYS),
    "random_distort_color": (lambda _: _DISTORTED, "in one order, all of them uniform"),
    "random_image_scale": (_scale("min_scale_ratio", "max_scale_ratio"), "zooms on the canvas"),
    "random_scale_crop_and_pad_to_square": (
        _scale("scale_min", "scale_max"),
        "about the middle of the canvas",
    ),
    "random_square_crop_by_scale": (_square_crop, "about the middle of the canvas"),
    "random_jitter_boxes": (
        lambda step: {"box_jitter": round(min(0.5, step.number("ratio") / math.sqrt(3)), 4)},
        "a normal deviation as wide as the old uniform one",
    ),
    "random_crop_image": (_crop, _CROPS),
    "ssd_random_crop": (_ssd_crop, _CROPS),
    "ssd_random_crop_fixed_aspect_ratio": (_ssd_crop, _CROPS),
    "random_crop_pad_image": (_crop_and_pad, _CROPS),
    "ssd_random_crop_pad": (_crop_and_pad, _CROPS),
    "ssd_random_crop_pad_fixed_aspect_ratio": (_crop_and_pad, _CROPS),
    "random_pad_image": (
        lambda _: {"scale": [0.5, 1.0]},
        "zooms out up to twice, with the canvas's own border",
    ),
}
