"""A picture of augmented samples with their boxes, so that a mistake is seen before training starts.

Owns the grid, the colours and the captions. Draws what the network will be shown, nothing else.
"""

import colorsys
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import DetectorError
from detector.labels import LabelMap
from detector.training.input.batch import Batch

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

SHEET_PICTURES = 16
_MIN_SIDE_PX = 240  # smaller canvases are enlarged, else names can't be read
_GAP_PX = 4
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_GOLDEN = 0.618034  # hues of neighbouring ids lie far apart


def draw_sheet(batches: Iterable[Batch], labels: LabelMap, count: int = SHEET_PICTURES) -> Pixels:
    """Draw the first ``count`` pictures of ``batches`` in a grid: RGB, uint8 [H, W, 3].

    Raises ``ValueError`` where there is none.
    """
    tiles = [_draw_tile(*sample, labels) for sample in islice(_list_pictures(batches), count)]
    if not tiles:
        raise ValueError("there is no picture to draw")
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = [_join_row(tiles[start : start + columns], columns) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def write_sheet(path: Path, batches: Iterable[Batch], labels: LabelMap, count: int = SHEET_PICTURES) -> None:
    """Write ``draw_sheet`` as PNG or JPEG, by the file's extension.

    Raises ``DetectorError`` where it can't be written.
    """
    sheet = draw_sheet(batches, labels, count)
    try:
        is_written, content = cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        if not is_written:
            raise DetectorError(
                f"the sheet of {sheet.shape[1]} x {sheet.shape[0]} px can't be encoded: {path}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.tobytes())
    except (OSError, cv2.error) as error:
        raise DetectorError(f"{path} can't be written as a picture: {error}") from error


def _list_pictures(
    batches: Iterable[Batch],
) -> Iterator[tuple[Pixels, NDArray[np.float32], NDArray[np.int32]]]:
    for batch in batches:
        pixels = np.asarray(batch.pixels).astype(np.uint8)
        boxes, class_ids = np.asarray(batch.boxes_yxyx_norm), np.asarray(batch.class_ids)
        yield from zip(pixels, boxes, class_ids, strict=True)


def _draw_tile(
    pixels: Pixels, boxes_yxyx_norm: NDArray[np.float32], class_ids: NDArray[np.int32], labels: LabelMap
) -> Pixels:
    scale = max(1, math.ceil(_MIN_SIDE_PX / len(pixels)))
    tile = np.ascontiguousarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    for box, class_id in zip(boxes_yxyx_norm * len(tile), class_ids.tolist(), strict=True):
        if class_id:
            _draw_box(tile, box.tolist(), labels.name_of(class_id), _choose_colour(class_id))
    return cv2.copyMakeBorder(
        tile, 0, _GAP_PX, 0, _GAP_PX, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    ).astype(np.uint8, copy=False)


def _draw_box(tile: Pixels, box_yxyx_px: Sequence[float], name: str, colour: Colour) -> None:
    y_min, x_min, y_max, x_max = (round(edge) for edge in box_yxyx_px)
    cv2.rectangle(tile, (x_min, y_min), (x_max - 1, y_max - 1), colour, 1)
    (width, height), below = cv2.getTextSize(name, _FONT, _FONT_SCALE, 1)
    left = max(0, min(x_min, len(tile) - width))
    foot = max(height + below, y_min)  # above the box, or inside where there is no room
    cv2.rectangle(tile, (left, foot - height - below), (left + width, foot), colour, cv2.FILLED)
    cv2.putText(tile, name, (left, foot - below), _FONT, _FONT_SCALE, (0, 0, 0), 1, cv2.LINE_AA)


def _choose_colour(class_id: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN % 1, 0.75, 1)
    return round(red * 255), round(green * 255), round(blue * 255)


def _join_row(tiles: Sequence[Pixels], columns: int) -> Pixels:
    blank = np.full_like(tiles[0], 255)
    return np.concatenate([*tiles, *[blank] * (columns - len(tiles))], axis=1)
