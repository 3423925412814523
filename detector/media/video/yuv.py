"""8-bit planar Y'CbCr, as nearly all decoders give it, scaled and turned into RGB by OpenCV.

Owns that short way: each plane is scaled before it becomes RGB, so that few pixels are multiplied. Several
times as quick as FFmpeg's scaler, and within a level or two of it. Knows nothing of canvases and rotation.
"""

from functools import cache
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

PixelArray = NDArray[np.uint8]
PLANAR = frozenset(f"yuv{j}{chroma}p" for j in ("", "j") for chroma in (411, 420, 422, 440, 444))
# What red and blue weigh in luma, by H.273's number of the matrix (8.3, table 4).
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_HD_HEIGHT_PX = 720  # players take untagged video for BT.709 from here on, for BT.601 below


def choose_matrix(frame: VideoFrame) -> int:
    """Give H.273's number of the frame's colour matrix: its tag, else what players take it for."""
    if frame.colorspace in _WEIGHTS:
        return int(frame.colorspace)
    return 1 if frame.height >= _HD_HEIGHT_PX else 5


def is_full_range(frame: VideoFrame) -> bool:
    """Tell whether black is 0 and white 255, not 16 and 235; untagged ones are not."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def convert_planes(frame: VideoFrame, out: PixelArray) -> None:
    """Fill ``out``, uint8 [H, W, 3], with a frame of a format in ``PLANAR`` scaled to its size, as RGB.

    Shrinks by averages of 2 x 2 pixels as often as they fit, the rest linearly; enlarges linearly.
    """
    cv2 = _start_opencv()
    cv2.merge([_scale(_view(plane), (out.shape[0], out.shape[1])) for plane in frame.planes], out)
    cv2.transform(out, compute_matrix(choose_matrix(frame), is_full_range(frame)), out)


@cache
def compute_matrix(number: int, is_full: bool) -> NDArray[np.float32]:
    """Compute float32 [3, 4] from (Y', Cb, Cr, 1) of 8 bits to R'G'B' of 0 to 255 (H.273, 8.3)."""
    red, blue = _WEIGHTS[number]
    green = 1 - red - blue
    cr, cb = 2 * (1 - red), 2 * (1 - blue)
    weights = np.array([[1, 0, cr], [1, -blue * cb / green, -red * cr / green], [1, cb, 0]])
    if not is_full:
        weights *= np.array([255 / 219, 255 / 224, 255 / 224])
    offset = -weights @ np.array([0 if is_full else 16, 128, 128])
    return np.column_stack([weights, offset]).astype(np.float32)


@cache
def _start_opencv() -> Any:  # noqa: ANN401 (a module)
    """Import OpenCV where pictures are made: reports, which read clips as they are, start without it."""
    import cv2

    cv2.setNumThreads(1)  # planes are small, and the caller's threads are enough
    return cv2


def _view(plane: VideoPlane) -> PixelArray:
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : plane.width]


def _scale(plane: PixelArray, hw: tuple[int, int]) -> PixelArray:
    cv2 = _start_opencv()
    height, width = plane.shape
    while height >= 2 * hw[0] and width >= 2 * hw[1] and not (height % 2 or width % 2):
        height, width = height // 2, width // 2
        plane = _resize(plane, (height, width), cv2.INTER_AREA)
    if (height, width) == hw:
        return plane
    is_far = height >= 2 * hw[0] or width >= 2 * hw[1]  # linear sampling would leave pixels out
    return _resize(plane, hw, cv2.INTER_AREA if is_far else cv2.INTER_LINEAR)


def _resize(plane: PixelArray, hw: tuple[int, int], interpolation: int) -> PixelArray:
    scaled: PixelArray = _start_opencv().resize(plane, hw[::-1], interpolation=interpolation)
    return scaled
