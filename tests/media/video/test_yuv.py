"""8-bit planes to RGB: FFmpeg's picture, whatever the sampling of chroma, the size and the matrix."""

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from detector.media.video.yuv import PLANAR, compute_matrix, convert_planes


def make_frame(pix_fmt, *, height, width):
    """Make a frame of a smooth pattern with strong colours, in a pixel format."""
    rows, columns = np.mgrid[:height, :width]
    waves = [rows / 9, columns / 11, (rows + columns) / 13]
    pixels = np.stack([127 + 110 * np.sin(wave) for wave in waves], axis=-1).astype(np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)


def convert_by_ffmpeg(frame, height, width):
    """Convert with FFmpeg's scaler to RGB, then shrink or enlarge that."""
    is_full = frame.format.name.startswith("yuvj")
    rgb = (
        VideoReformatter()
        .reformat(
            frame,
            format="rgb24",
            src_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC,
        )
        .to_ndarray()
    )
    method = cv2.INTER_AREA if height <= frame.height else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width, height), interpolation=method)


@pytest.mark.parametrize("pix_fmt", sorted(PLANAR - {"yuvj411p"}))
@pytest.mark.parametrize("hw", [(90, 120), (60, 80), (45, 60), (37, 53), (144, 192), (13, 20)])
def test_it_is_ffmpegs_picture(pix_fmt, hw):
    """Halved once, twice, by odd numbers, enlarged, much smaller: within a few levels on average."""
    frame = make_frame(pix_fmt, height=120, width=160)
    out = np.empty((*hw, 3), np.uint8)
    convert_planes(frame, out)
    assert np.abs(out.astype(int) - convert_by_ffmpeg(frame, *hw)).mean() < 5


@pytest.mark.parametrize("hw", [(59, 79), (119, 159)])
def test_odd_sizes(hw):
    """Frames whose chroma has half a pixel more than half."""
    frame = make_frame("yuv420p", height=121, width=161)
    out = np.empty((*hw, 3), np.uint8)
    convert_planes(frame, out)
    assert np.abs(out.astype(int) - convert_by_ffmpeg(frame, *hw)).mean() < 5


def test_a_part_of_a_canvas_is_filled_alone():
    """Lines that do not follow each other in memory, and nothing beside them."""
    frame, canvas = make_frame("yuv420p", height=120, width=160), np.full((64, 100, 3), 7, np.uint8)
    alone = np.empty((60, 80, 3), np.uint8)
    convert_planes(frame, alone)
    convert_planes(frame, canvas[2:62, 10:90])
    np.testing.assert_array_equal(canvas[2:62, 10:90], alone)
    canvas[2:62, 10:90] = 7
    assert (canvas == 7).all()


def test_the_matrix_in_place_is_the_matrix():
    """Each pixel of the result by hand, of a width that fills no register."""
    frame, out = make_frame("yuv444p", height=61, width=77), np.empty((61, 77, 3), np.uint8)
    convert_planes(frame, out)
    planes = np.stack(
        [np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[:61, :77] for p in frame.planes], -1
    )
    weights = compute_matrix(5, False)
    wanted = np.clip(planes @ weights[:, :3].T + weights[:, 3], 0, 255)
    np.testing.assert_allclose(out, wanted, atol=1.5)


@pytest.mark.parametrize("number", [1, 4, 5, 6, 7, 9, 10])
def test_grey_stays_grey(number):
    """Without chroma, R, G and B are luma in its range."""
    full, limited = compute_matrix(number, True), compute_matrix(number, False)
    np.testing.assert_allclose(full @ [200, 128, 128, 1], [200] * 3, atol=1e-3)
    np.testing.assert_allclose(limited @ [235, 128, 128, 1], [255] * 3, atol=1e-3)
    np.testing.assert_allclose(limited @ [16, 128, 128, 1], [0] * 3, atol=1e-3)
