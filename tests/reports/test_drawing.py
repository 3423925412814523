"""Drawn boxes: where they lie, in which colours, and that labels can be read."""

import re
from pathlib import Path

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

import detector.reports
from detector.boxes import compute_letterbox
from detector.reports.drawing import PALETTE, draw_boxes, place_chip
from detector.reports.scored_video import FoundBox

BLUE, ORANGE = (0, 114, 178), (230, 159, 0)
SIDE = st.floats(0, 1)


def draw(hw, *boxes, letterbox=None):
    """Draw boxes into a white frame."""
    return draw_boxes(np.full((*hw, 3), 255, np.uint8), boxes, letterbox)


def find_edges(pixels, colour):
    """Find the first and last row and column of a colour, in the lower part, where no label is."""
    rows, columns = np.nonzero((pixels[100:] == colour).all(-1))
    return int(columns.min()), int(columns.max()), int(rows.max()) + 100


def test_outline_lies_on_the_box():
    """A box from (50, 80) to (150, 180) is drawn just inside it."""
    pixels = draw((200, 400), FoundBox(1, "cat", 0.5, 0.125, 0.4, 0.375, 0.9))
    assert find_edges(pixels, BLUE) == (50, 149, 179)


def test_letterbox_moves_the_box():
    """In a 400 x 300 frame that holds a 400 x 200 picture, 50 rows of border are above it."""
    letterbox = compute_letterbox((100, 200), (300, 400))
    pixels = draw((300, 400), FoundBox(1, "cat", 0.5, 0.125, 0.4, 0.375, 0.9), letterbox=letterbox)
    assert find_edges(pixels, BLUE) == (50, 149, 229)


def test_colours_are_those_of_the_class():
    """Class 2 is orange in every frame, class 10 again; the given pixels are left as they were."""
    white = np.full((200, 200, 3), 255, np.uint8)
    for class_id in (2, 10):
        drawn = draw_boxes(white, [FoundBox(class_id, "cat", 0.5, 0.2, 0.2, 0.9, 0.9)], None)
        assert (drawn == ORANGE).all(-1).any()
    assert white.min() == 255


def test_palette_is_the_pages():
    """The clip's colours are those of page.css, in the same order."""
    css = (Path(detector.reports.__file__).parent / "page.css").read_text()
    found = re.findall(r"^\.c(\d) \{ --c: (#\w+); --on: (#\w+); \}", css, re.MULTILINE)
    assert [(colour, ink) for _, colour, ink in sorted(found)] == list(PALETTE)


@settings(max_examples=40, deadline=None)
@given(
    edges=st.tuples(SIDE, SIDE, SIDE, SIDE),
    hw=st.tuples(st.integers(2, 300), st.integers(2, 300)),
    label=st.text(),
)
@example(edges=(0, 1, 0, 1), hw=(300, 300), label="²\r\n\x1c\x85\u2028\u2029²")
def test_any_box_and_label_is_drawn(edges, hw, label):
    """Degenerate boxes, tiny frames and odd labels are drawn, not refused; the size stays."""
    left, right = sorted(edges[:2])
    top, bottom = sorted(edges[2:])
    assert draw(hw, FoundBox(1, label, 0.5, left, top, right, bottom)).shape == (*hw, 3)


@given(left=SIDE, top=SIDE, chip=st.tuples(st.integers(1, 100), st.integers(1, 30)))
def test_labels_stay_in_the_frame(left, top, chip):
    """Wherever the box begins, all of the label's chip is in the frame."""
    found = place_chip((left * 200, top * 100, 200, 100), chip, (200, 100))
    assert 0 <= found[0] <= 200 - chip[0]
    assert 0 <= found[1] <= 100 - chip[1]


def test_labels_make_room_for_each_other():
    """The labels of two boxes with one corner lie above it and inside, not on each other."""
    box, chips = (50, 50, 90, 90), []
    for _ in range(4):
        chips.append(place_chip(box, (30, 10), (200, 200), chips))
    assert [chip[1] for chip in chips] == [40, 50, 80, 90]


def test_letters_are_drawn_in_ink_on_the_colour():
    """Above the box lies a chip of the class's colour with black letters on it."""
    pixels = draw((200, 400), FoundBox(2, "cat", 0.5, 0.1, 0.5, 0.9, 0.9))
    chip = pixels[80:97, 42:80]
    assert (chip == ORANGE).all(-1).mean() > 0.4
    assert (chip < 60).all(-1).any()
