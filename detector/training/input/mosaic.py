"""One picture made of four, each in a quarter of the canvas (Bochkovskiy et al., YOLOv4, 2020, section 3.3).

Owns where the four meet and how large each is. What a quarter's edge hides of an object counts as hidden.
"""

from collections.abc import Sequence

import numpy as np

from detector.training.input.sample import Pixels, Placement, Region, Sample, clip_boxes, warp_content

MOSAIC_PICTURES = 4
_CENTRE = (0.35, 0.65)  # of the canvas
_HALF = 0.5

Tile = tuple[Sample, Pixels, float, tuple[bool, bool]]


def make_mosaic(tiles: Sequence[Tile], centre_xy: tuple[int, int]) -> Sample:
    """Put four pictures together that meet at ``centre_xy``, in reading order.

    A tile is a sample, its content's pixels as they shall be shown, a scale (1: a quarter of the canvas's
    area, but nothing is enlarged) and whether it's mirrored along x and y. Each lies with one corner at the
    centre.
    """
    side = tiles[0][0].canvas_px
    pixels = np.empty((side, side, 3), np.uint8)
    boxes, class_ids = [], []
    for number, (sample, content, scale, is_mirrored) in enumerate(tiles):
        quarter = _find_quarter(number, centre_xy, side)
        placement = _place(sample, number, centre_xy, _choose_scale(sample, scale), is_mirrored)
        x_min, y_min, x_max, y_max = quarter
        pixels[y_min:y_max, x_min:x_max] = warp_content(sample, content, placement, quarter)
        clipped, is_visible = clip_boxes(placement.move_boxes(sample.boxes_xyxy_px), quarter)
        boxes.append(clipped[is_visible])
        class_ids.append(sample.class_ids[is_visible])
    return Sample(pixels, tiles[0][0].canvas, np.concatenate(boxes), np.concatenate(class_ids))


def draw_centre(canvas_px: int, generator: np.random.Generator) -> tuple[int, int]:
    """Draw where the four pictures meet, (x, y) in whole pixels."""
    x, y = (generator.uniform(*_CENTRE, 2) * canvas_px).astype(int).tolist()
    return x, y


def _find_quarter(number: int, centre_xy: tuple[int, int], side: int) -> Region:
    x, y = centre_xy
    is_right, is_lower = number % 2, number // 2
    return (x if is_right else 0, y if is_lower else 0, side if is_right else x, side if is_lower else y)


def _choose_scale(sample: Sample, scale: float) -> float:
    x_min, y_min, x_max, y_max = sample.content
    side = float(np.sqrt((x_max - x_min) * (y_max - y_min)))
    return min(1.0, scale * _HALF * sample.canvas_px / side)


def _place(
    sample: Sample, number: int, centre_xy: tuple[int, int], scale: float, is_mirrored: tuple[bool, bool]
) -> Placement:
    axes = (
        (sample.content[0], sample.content[2], centre_xy[0], number % 2 == 1, is_mirrored[0]),
        (sample.content[1], sample.content[3], centre_xy[1], number // 2 == 1, is_mirrored[1]),
    )
    scales, shifts = [], []
    for low, high, centre, is_after, mirrored in axes:
        signed = -scale if mirrored else scale
        touching = low if is_after != mirrored else high  # the content's edge that lies at the centre
        scales.append(signed)
        shifts.append(centre - signed * touching)
    return Placement((scales[0], scales[1]), (shifts[0], shifts[1]))
