"""Boxes and labels drawn into pixels, in the colours of the page.

Owns the colours, the width of lines and the size of letters for a frame's size. Opens and writes no files.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detector.boxes import Letterbox
from detector.reports.scored_video import FoundBox

PixelArray = NDArray[np.uint8]
Rectangle = tuple[float, float, float, float]

# Okabe and Ito's palette, the page's own: (box, letters on it) by class_id, from 1, then again.
PALETTE = (
    ("#0072b2", "#fff"), ("#e69f00", "#000"), ("#009e73", "#000"), ("#cc79a7", "#000"),
    ("#f0e442", "#000"), ("#56b4e9", "#000"), ("#d55e00", "#000"), ("#bbb", "#000"),
)  # fmt: skip
_SIDE_PER_LETTER, _SMALLEST_LETTER_PX = 32, 13
_SIDE_PER_LINE, _THINNEST_LINE_PX = 240, 2
_CHIP_MARGIN_PX = 4
# Found by name where the system has them, for labels beyond ASCII.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf", "arial.ttf", "msyh.ttc",
)  # fmt: skip
_NO_CHARACTER = "\U0010ffff"


def draw_boxes(pixels: PixelArray, boxes: Sequence[FoundBox], letterbox: Letterbox | None) -> PixelArray:
    """Draw boxes with label and score into a copy of a frame, uint8 [H, W, 3] RGB, in and out.

    ``letterbox`` tells where the picture lies in the frame that the boxes are fractions of; None: it is the
    whole frame. Later boxes are drawn over earlier ones, all labels over all boxes, and no label leaves the
    frame.
    """
    if not boxes:
        return pixels
    image = Image.fromarray(pixels)
    canvas = ImageDraw.Draw(image)
    side_px = min(pixels.shape[:2])
    line_px = max(_THINNEST_LINE_PX, round(side_px / _SIDE_PER_LINE))
    letter_px = choose_letter_px(side_px)
    placed = [(box, _place(box, pixels.shape[:2], letterbox)) for box in boxes]
    for box, rectangle in placed:
        _draw_outline(canvas, rectangle, PALETTE[_index(box)][0], line_px)
    chips: list[Rectangle] = []
    for box, rectangle in placed:
        _draw_label(canvas, box, rectangle, letter_px, chips)
    return np.asarray(image)


def choose_letter_px(side_px: int) -> int:
    """Choose the size of letters for a frame whose shorter side is ``side_px``.

    >>> choose_letter_px(240), choose_letter_px(720)
    (13, 22)
    """
    return max(_SMALLEST_LETTER_PX, round(side_px / _SIDE_PER_LETTER))


def _index(box: FoundBox) -> int:
    return (box.class_id - 1) % len(PALETTE)


@functools.cache
def choose_font(text: str, size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Choose a font with all characters of ``text``: Pillow's own, else one of the system's, if any has."""
    own = ImageFont.load_default(size_px)
    return next((font for font in _list_fonts(own, size_px) if _has_letters(font, text)), own)


def _list_fonts(
    own: ImageFont.FreeTypeFont | ImageFont.ImageFont, size_px: int
) -> Iterator[ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    yield own
    for name in _SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            yield ImageFont.truetype(name, size_px)


def _has_letters(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> bool:
    # A font draws every character it lacks as the one that stands for none.
    missing = bytes(font.getmask(_NO_CHARACTER))
    return all(bytes(font.getmask(letter)) != missing for letter in set(text) if not letter.isspace())


def _place(box: FoundBox, frame_hw: tuple[int, ...], letterbox: Letterbox | None) -> Rectangle:
    height, width = frame_hw[:2] if letterbox is None else letterbox.content_hw
    top, left = (0, 0) if letterbox is None else (letterbox.top, letterbox.left)
    return (
        left + box.left * width,
        top + box.top * height,
        left + box.right * width - 1,
        top + box.bottom * height - 1,
    )


def _draw_outline(canvas: ImageDraw.ImageDraw, rectangle: Rectangle, colour: str, line_px: int) -> None:
    left, top, right, bottom = rectangle
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    # The dark rim keeps the line visible on a ground of its own colour.
    canvas.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="#000", width=line_px + 2)
    canvas.rectangle((left, top, right, bottom), outline=colour, width=line_px)


def _draw_label(
    canvas: ImageDraw.ImageDraw, box: FoundBox, rectangle: Rectangle, letter_px: int, taken: list[Rectangle]
) -> None:
    label = " ".join(box.label.split())  # on one line: some fonts can't be laid out with a paragraph's end
    text = f"{label} {box.score:.2f}"
    font = choose_font(label, letter_px)
    _, _, width, height = canvas.textbbox((0, 0), text, font=font)
    chip_wh = (width + 2 * _CHIP_MARGIN_PX, height + _CHIP_MARGIN_PX)
    chip = place_chip(rectangle, chip_wh, canvas.im.size, taken)
    taken.append(chip)
    fill, ink = PALETTE[_index(box)]
    canvas.rectangle((*chip[:2], chip[2] - 1, chip[3] - 1), fill=fill)
    canvas.text((chip[0] + _CHIP_MARGIN_PX, chip[1]), text, fill=ink, font=font)


def place_chip(
    rectangle: Rectangle,
    chip_wh: tuple[float, float],
    frame_wh: tuple[int, int],
    taken: Sequence[Rectangle] = (),
) -> Rectangle:
    """Place a label's chip at its box's left: above it, inside at the top or the bottom, or below.

    The first of these where it's in the frame and on no chip of ``taken``; else the first that is in the
    frame.

    >>> place_chip((50, 80, 90, 99), (30, 20), (100, 100)), place_chip((90, 5, 99, 9), (30, 20), (100, 100))
    ((50, 60, 80, 80), (70, 5, 100, 25))
    """
    width, height = chip_wh
    left = max(0, min(rectangle[0], frame_wh[0] - width))
    tops = (rectangle[1] - height, rectangle[1], rectangle[3] - height, rectangle[3])
    places = [(left, top, left + width, top + height) for top in tops if 0 <= top <= frame_wh[1] - height]
    lowest = max(0, min(rectangle[1], frame_wh[1] - height))
    places = places or [(left, lowest, left + width, lowest + height)]
    return next((place for place in places if not any(_overlap(place, chip) for chip in taken)), places[0])


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
