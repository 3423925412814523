"""Colours, against values worked by hand."""

import numpy as np
import pytest

from detector.training.input.colour import draw_colour, make_colour_matrix, vary_colour
from detector.training.train_settings import AugmentSettings


def vary(rgb, **changes):
    """Change one colour."""
    return vary_colour(np.array([[rgb]], np.uint8), make_colour_matrix(**changes))[0, 0].tolist()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, [200, 100, 40]),
        ({"brightness": 0.1}, [226, 126, 66]),  # 25.5 more, rounded to even
        ({"brightness": -0.5}, [72, 0, 0]),  # clipped at black
        ({"contrast": 0.5}, [164, 114, 84]),  # half as far from 127.5
        ({"saturation": 0}, [123, 123, 123]),  # .299 R + .587 G + .114 B
    ],
)
def test_worked_by_hand(changes, wanted):
    """Each change alone."""
    assert vary([200, 100, 40], **changes) == pytest.approx(wanted, abs=1)


def test_hue_keeps_grey_and_luminance():
    """A third of the circle turns red towards another colour; grey has no hue."""
    assert vary([90, 90, 90], hue=1 / 3) == [90, 90, 90]
    turned = vary([150, 100, 100], hue=1 / 3)
    weights = np.array([0.299, 0.587, 0.114])
    assert weights @ turned == pytest.approx(weights @ [150, 100, 100], abs=1)
    assert turned[0] < max(turned[1:])


def test_changes_stay_in_their_ranges():
    """Grey shows brightness and contrast; nothing set is nothing changed."""
    settings = AugmentSettings(brightness=0.2, contrast=0, saturation=0.5, hue=0.1)
    generator = np.random.default_rng(0)
    grey = np.full((1, 1, 3), 128, np.uint8)
    levels = [int(vary_colour(grey, draw_colour(settings, generator))[0, 0, 0]) for _ in range(200)]
    assert 128 - 52 <= min(levels) < 90
    assert 166 < max(levels) <= 128 + 52
    off = AugmentSettings(brightness=0, contrast=0, saturation=0, hue=0)
    assert draw_colour(off, generator) == pytest.approx(make_colour_matrix())
