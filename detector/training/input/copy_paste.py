"""An object of another picture put into this one, with its surroundings blended in.

Owns size and place: where it hides no annotated object. Annotations are boxes, so what is copied is the box
and a margin around it in which it fades out; a hard edge would be learned as a sign of objects (Dwibedi,
Misra and Hebert, Cut, Paste and Learn, ICCV 2017).
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.boxes import FloatArray
from detector.training.input.sample import Pixels, Placement, Region, Sample, clip_boxes

_MARGIN = 0.15  # of the box's sides
_MAX_SIDE = 0.6  # of the picture that it's put into
_MIN_SIDE_PX = 8
_TRIES = 20
_MIN_SHRINKING = 0.35  # where there is no room for more


def paste_object(sample: Sample, source: Sample, scale: float, generator: np.random.Generator) -> Sample:
    """Put one box of ``source``, taken by chance and scaled, onto ``sample``, mirrored half of the time.

    Other objects of the source that are visible in the copied box come along. Unchanged where the source has
    no box, or no place was found at which neither box nor margin touches a box that is there.
    """
    if not len(source.boxes_xyxy_px):
        return sample
    box = source.boxes_xyxy_px[generator.integers(len(source.boxes_xyxy_px))]
    inner = _round_region(box, source.content)
    outer = _add_margin(inner, source.content)
    outer_wh = np.array(outer[2:]) - outer[:2]
    found = _find_place(sample, outer_wh * _choose_scale(outer_wh, sample.content, scale), generator)
    if found is None:
        return sample
    place, size_wh = found
    is_mirrored = bool(generator.random() < 0.5)  # noqa: PLR2004 (half of the time)
    placement = _place(outer, place, size_wh / outer_wh, is_mirrored=is_mirrored)
    pixels = _blend(sample.pixels, source.pixels, inner, outer, place, size_wh, is_mirrored=is_mirrored)
    clipped, is_visible = clip_boxes(source.boxes_xyxy_px, inner)
    moved = placement.move_boxes(clipped[is_visible])
    return replace(
        sample,
        pixels=pixels,
        boxes_xyxy_px=np.concatenate([sample.boxes_xyxy_px, moved]),
        class_ids=np.concatenate([sample.class_ids, source.class_ids[is_visible]]),
    )


def _round_region(box: FloatArray, content: Region) -> Region:
    low = np.maximum(np.floor(box[:2]).astype(int), content[:2]).tolist()
    high = np.minimum(np.ceil(box[2:]).astype(int), content[2:]).tolist()
    return low[0], low[1], high[0], high[1]


def _add_margin(inner: Region, content: Region) -> Region:
    sides = np.array(inner[2:]) - inner[:2]
    margin = np.ceil(sides * _MARGIN)
    return _round_region(np.concatenate([inner[:2] - margin, inner[2:] + margin]).astype(np.float32), content)


def _choose_scale(outer_wh: NDArray[np.int64], content: Region, scale: float) -> float:
    most = _MAX_SIDE * (np.array(content[2:]) - content[:2]) / outer_wh
    return float(min(scale, *most))


def _find_place(
    sample: Sample, wanted_wh: NDArray[np.float64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Find a corner (x, y) and a size, of the wanted size at first and smaller with each try."""
    low, boxes = np.array(sample.content[:2]), sample.boxes_xyxy_px
    for shrinking in np.linspace(1, _MIN_SHRINKING, _TRIES):
        size_wh: NDArray[np.int64] = np.rint(wanted_wh * shrinking).astype(np.int64)
        if size_wh.min() < _MIN_SIDE_PX:
            return None
        place = generator.integers(low, np.array(sample.content[2:]) - size_wh, endpoint=True)
        if not ((boxes[:, 2:] > place) & (boxes[:, :2] < place + size_wh)).all(axis=1).any():
            return place, size_wh
    return None


def _place(
    outer: Region, place: NDArray[np.int64], scale_xy: NDArray[np.float64], *, is_mirrored: bool
) -> Placement:
    x_scale, y_scale = scale_xy.tolist()
    x, y = place.tolist()
    if is_mirrored:
        return Placement((-x_scale, y_scale), (x + x_scale * outer[2], y - y_scale * outer[1]))
    return Placement((x_scale, y_scale), (x - x_scale * outer[0], y - y_scale * outer[1]))


def _blend(
    pixels: Pixels,
    source: Pixels,
    inner: Region,
    outer: Region,
    place: NDArray[np.int64],
    size_wh: NDArray[np.int64],
    *,
    is_mirrored: bool,
) -> Pixels:
    x_min, y_min, x_max, y_max = outer
    patch = source[y_min:y_max, x_min:x_max].astype(np.float32)
    opacity = np.outer(_fade(inner[1::2], outer[1::2]), _fade(inner[::2], outer[::2]))
    if is_mirrored:
        patch, opacity = patch[:, ::-1], opacity[:, ::-1]
    patch, opacity = _resize(patch, size_wh), _resize(opacity, size_wh)
    blended = pixels.copy()
    window = blended[place[1] : place[1] + size_wh[1], place[0] : place[0] + size_wh[0]]
    mixed = window + (patch - window) * opacity[..., None]
    window[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return blended


def _resize(values: FloatArray, size_wh: NDArray[np.int64]) -> FloatArray:
    whole = np.ascontiguousarray(values, np.float32)  # a mirrored view is none
    resized = cv2.resize(whole, size_wh.tolist(), interpolation=cv2.INTER_AREA)
    return resized.astype(np.float32, copy=False)


def _fade(inner: tuple[int, ...], outer: tuple[int, ...]) -> FloatArray:
    """Compute the opacity along one axis: 1 inside, falling to 0 at the outer edges, float32 [n]."""
    centres = np.arange(outer[0], outer[1]) + 0.5
    before, after = max(1, inner[0] - outer[0]), max(1, outer[1] - inner[1])
    rise = 1 - np.clip(inner[0] - centres, 0, None) / before
    fall = 1 - np.clip(centres - inner[1], 0, None) / after
    fade: FloatArray = np.minimum(rise, fall).astype(np.float32)
    return fade
