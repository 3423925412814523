"""Colour, range, rotation, pixel shape and canvas of single frames."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from detector.media.video.conversion import FrameConverter

FULL = ColorRange.JPEG


def make_frame(y, u, v, *, height=64, width=96, colour_range=ColorRange.MPEG, matrix=2):
    """Make a YUV 4:2:0 frame of one colour; ``matrix`` as H.273 numbers them."""
    planes = np.full((height * 3 // 2, width), y, np.uint8)
    planes[height : height + height // 4] = u
    planes[height + height // 4 :] = v
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.color_range, frame.colorspace = colour_range, matrix
    return frame


def find_colour(frame, canvas_hw=None):
    """Convert, and give the colour in the middle."""
    pixels = FrameConverter(None, canvas_hw).convert(frame).pixels
    return pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].tolist()


def compute_rgb(y, u, v, *, kr, kb, is_full):
    """Compute R'G'B' of 8-bit Y'CbCr (H.273, 8.3)."""
    luma = y / 255 if is_full else (y - 16) / 219
    blue, red = ((c - 128) / (255 if is_full else 224) for c in (u, v))
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    return [min(255, max(0, 255 * value)) for value in (r, g, b)]


@pytest.mark.parametrize("canvas_hw", [None, (32, 32), (256, 256)])
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, FULL])
@pytest.mark.parametrize(
    ("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (6, 0.299, 0.114), (9, 0.2627, 0.0593)]
)
def test_tags_are_honoured(matrix, kr, kb, colour_range, canvas_hw):
    """BT.709, BT.601 twice and BT.2020, in both ranges."""
    frame = make_frame(120, 100, 170, colour_range=colour_range, matrix=matrix)
    wanted = compute_rgb(120, 100, 170, kr=kr, kb=kb, is_full=colour_range == FULL)
    assert find_colour(frame, canvas_hw) == pytest.approx(wanted, abs=3)


@pytest.mark.parametrize(("height", "kr", "kb"), [(480, 0.299, 0.114), (720, 0.2126, 0.0722)])
def test_untagged_colour_goes_by_height(height, kr, kb):
    """BT.601 below 720 lines, BT.709 from there on, as players have it."""
    frame = make_frame(120, 100, 170, height=height, width=64)
    wanted = compute_rgb(120, 100, 170, kr=kr, kb=kb, is_full=False)
    assert find_colour(frame, (32, 32)) == pytest.approx(wanted, abs=3)


def test_untagged_range_is_limited():
    """16 is black and 235 white."""
    for level, value in ((16, 0), (235, 255)):
        frame = make_frame(level, 128, 128, colour_range=ColorRange.UNSPECIFIED)
        assert find_colour(frame) == pytest.approx([value] * 3, abs=1)


def test_the_canvas_has_black_borders():
    """96 x 64 on 48 x 48: 32 lines of picture, eight black ones above and below."""
    picture = FrameConverter(None, (48, 48)).convert(make_frame(235, 128, 128))
    assert picture.pixels.shape == (48, 48, 3)
    assert picture.letterbox.content_hw == (32, 48)
    assert not picture.pixels[:8].any()
    assert not picture.pixels[40:].any()
    assert (picture.pixels[8:40] >= 254).all()


def test_the_canvas_has_black_sides():
    """64 x 96 on 48 x 48: the same turned, in every one of several pictures."""
    converter = FrameConverter(None, (48, 48))
    for _ in range(3):
        pixels = converter.convert(make_frame(235, 128, 128, height=96, width=64)).pixels
        assert not pixels[:, :8].any()
        assert not pixels[:, 40:].any()
        assert (pixels[:, 8:40] >= 254).all()
        pixels[:] = 77  # the next canvas may lie in the same memory


def test_wide_pixels_widen_the_picture():
    """Pixels of 4:3 make 96 x 64 a picture of 128 x 64."""
    picture = FrameConverter(Fraction(4, 3), None).convert(make_frame(100, 128, 128))
    assert (picture.width_px, picture.height_px, picture.pixels.shape) == (128, 64, (64, 128, 3))


def test_shrinking_averages():
    """Fine stripes become grey; nearest neighbours would keep or lose them."""
    planes = np.full((96, 96), 128, np.uint8)
    planes[:64] = np.where(np.arange(96) % 2, 235, 16)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    assert find_colour(frame, (48, 48)) == pytest.approx([128] * 3, abs=3)


def test_a_stream_may_change_its_size():
    """Each frame has its own letterbox."""
    converter = FrameConverter(None, (48, 48))
    sizes = [
        converter.convert(make_frame(90, 128, 128, height=h, width=w)).letterbox.content_hw
        for h, w in ((64, 96), (96, 64), (64, 96))
    ]
    assert sizes == [(32, 48), (48, 32), (32, 48)]


def test_frames_do_not_share_their_pixels():
    """A picture stays as it is when the next one comes."""
    converter = FrameConverter(None, None)
    first = converter.convert(make_frame(16, 128, 128)).pixels
    converter.convert(make_frame(235, 128, 128))
    assert not first.any()
