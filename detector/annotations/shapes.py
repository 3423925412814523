"""Drawn pictures of simple shapes, with the box and the class of each: data without anyone's photos.

Owns what the shapes look like. Every picture follows from the generator it is given, so the demo's
pictures, its model's training pictures and their held-out ones can be made again by anyone. Refuses to
write files.
"""

import zlib
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.boxes import compute_iou, normalise_yxyx_px

Pixels = NDArray[np.uint8]
Mask = NDArray[np.float32]
Background = Literal["plain", "gradient", "noise", "lines"]

SHAPE_NAMES = ("circle", "rectangle", "triangle", "star")
BACKGROUNDS: tuple[Background, ...] = ("plain", "gradient", "noise", "lines")
_SUBPIXEL_BITS = 4
_MAX_IOU = 0.1
_MAX_COVERED = 0.25
_HALF_COVERED = 0.5
_MIN_CONTRAST = 90
_TRIES = 20


def seed_generator(purpose: Literal["training", "validation", "demo"], seed: int) -> np.random.Generator:
    """Make the generator of one purpose: no two purposes share a picture, whatever their seeds.

    >>> first, second = seed_generator("training", 1), seed_generator("validation", 1)
    >>> first.integers(1_000_000) == second.integers(1_000_000)
    np.False_
    """
    return np.random.default_rng([zlib.crc32(purpose.encode()), seed])


def draw_picture(
    generator: np.random.Generator,
    *,
    height_px: int,
    width_px: int,
    max_shapes: int = 6,
    backgrounds: Sequence[Background] = BACKGROUNDS,
) -> tuple[Pixels, NDArray[np.float32], NDArray[np.int32]]:
    """Draw one to ``max_shapes`` shapes on one of ``backgrounds``, the later ones over the earlier.

    Returns RGB pixels uint8 [height_px, width_px, 3]; boxes_yxyx_norm float32 [N, 4], each around the
    pixels that its shape covers by half or more, also where a later shape hides some (each later one
    at most a quarter); class_ids int32 [N], from 1 in the order of ``SHAPE_NAMES``. Shapes lie inside the
    picture and measure about .15 to .6 of its shorter side, turned rectangles up to .7.
    """
    canvas = _draw_background(generator, height_px, width_px, generator.choice(np.array(backgrounds)))
    wanted = int(generator.integers(1, max_shapes + 1))
    masks: list[Mask] = []
    boxes = np.zeros((0, 4), np.float32)
    class_ids: list[int] = []
    for _ in range(wanted * _TRIES):
        class_id = int(generator.integers(1, len(SHAPE_NAMES) + 1))
        mask = _draw_mask(_outline(generator, class_id, height_px, width_px), height_px, width_px)
        box = _measure_box(mask)
        if (len(masks) > 0 and compute_iou(box[None], boxes).max() > _MAX_IOU) or _hides(mask, masks):
            continue
        _paint(generator, canvas, mask)
        masks.append(mask)
        boxes = np.concatenate([boxes, box[None]])
        class_ids.append(class_id)
        if len(masks) == wanted:
            break
    pixels = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return pixels, normalise_yxyx_px(boxes, (height_px, width_px)), np.array(class_ids, np.int32)


def _outline(
    generator: np.random.Generator, class_id: int, height_px: int, width_px: int
) -> NDArray[np.float64]:
    # Returns the corners as (x, y) in pixels [M, 2], turned, and moved to where all of them are inside.
    shape = SHAPE_NAMES[class_id - 1]
    radius = generator.uniform(0.08, 0.25) * min(height_px, width_px)
    if shape == "circle":
        angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif shape == "rectangle":
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [1, generator.uniform(0.5, 1.0)]
    elif shape == "triangle":
        angles = np.array([0, 1, 2]) * 2 * np.pi / 3 + generator.uniform(-0.25, 0.25, 3)
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 1.15
    else:
        angles = np.arange(10) * np.pi / 5
        spokes = np.where(np.arange(10) % 2 == 0, 1.15, generator.uniform(0.42, 0.55))
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * spokes[:, None]
    turn = generator.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    placed: NDArray[np.float64] = corners * radius @ rotation.T
    low, high = -placed.min(axis=0) + 1, np.array([width_px, height_px]) - placed.max(axis=0) - 1
    moved: NDArray[np.float64] = placed + generator.uniform(low, np.maximum(low, high))
    return moved


def _draw_mask(corners: NDArray[np.float64], height_px: int, width_px: int) -> Mask:
    # OpenCV's integer coordinates are centres of pixels, ours are their top left corners: hence half.
    mask = np.zeros((height_px, width_px), np.uint8)
    points = np.rint((corners - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    return mask.astype(np.float32) / np.float32(255)


def _measure_box(mask: Mask) -> NDArray[np.float32]:
    covered = mask >= _HALF_COVERED
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float32)


def _hides(mask: Mask, earlier: list[Mask]) -> bool:
    return any((mask * other).sum() > _MAX_COVERED * min(mask.sum(), other.sum()) for other in earlier)


def _paint(generator: np.random.Generator, canvas: Mask, mask: Mask) -> None:
    below = canvas[mask >= _HALF_COVERED].mean(axis=0)
    colour = generator.uniform(0, 255, 3)
    while np.linalg.norm(colour - below) < _MIN_CONTRAST:
        colour = generator.uniform(0, 255, 3)
    # A slight shade across the shape keeps colour from being the only thing to learn.
    shade = np.linspace(-1, 1, mask.shape[1]) * generator.uniform(-20, 20)
    paint = colour + shade[None, :, None]
    canvas += mask[..., None] * (paint - canvas)


def _draw_background(generator: np.random.Generator, height_px: int, width_px: int, kind: Background) -> Mask:
    canvas = np.full((height_px, width_px, 3), _mix_muted(generator), np.float32)
    if kind == "gradient":
        angle, other = generator.uniform(0, 2 * np.pi), _mix_muted(generator)
        rows, columns = np.mgrid[-0.5 : 0.5 : height_px * 1j, -0.5 : 0.5 : width_px * 1j]
        share = np.clip(0.5 + rows * np.sin(angle) + columns * np.cos(angle), 0, 1)[..., None]
        canvas = (canvas * (1 - share) + other * share).astype(np.float32)
    elif kind == "noise":
        grain = generator.normal(0, generator.uniform(8, 22), (height_px, width_px, 1))
        canvas = canvas + grain.astype(np.float32)
    elif kind == "lines":
        for _ in range(int(generator.integers(4, 12))):
            start, end = generator.integers(0, (width_px, height_px), (2, 2)).tolist()
            thickness = max(1, round(min(height_px, width_px) * float(generator.uniform(0.002, 0.01))))
            colour = generator.uniform(0, 255, 3).tolist()
            cv2.line(canvas, start, end, colour, thickness, cv2.LINE_AA)
    return canvas


def _mix_muted(generator: np.random.Generator) -> NDArray[np.float64]:
    return generator.uniform(50, 205) + generator.uniform(-50, 50, 3)
