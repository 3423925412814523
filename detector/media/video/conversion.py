"""A decoded frame as a picture: RGB, upright, square pixels, on the model's canvas if there is one.

Owns colour and geometry. FFmpeg's scaler goes from the codec's pixels to RGB of the final size at once.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from detector.boxes import Letterbox, compute_letterbox
from detector.media.video.index import compute_upright_size

PixelArray = NDArray[np.uint8]
_UNTAGGED = 2  # H.273: colour matrix unspecified
_HD_HEIGHT_PX = 720  # players take untagged video for BT.709 from here on, for BT.601 below
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.SMPTE170M,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


@dataclass(frozen=True)
class Picture:
    """uint8 [H, W, 3] RGB, upright; how it lies on its canvas; (width, height) of the upright original."""

    pixels: PixelArray
    letterbox: Letterbox | None
    width_px: int
    height_px: int


@dataclass(frozen=True)
class _Geometry:
    """Where a frame goes: its upright size, its letterbox, and the size it's scaled to before it's turned."""

    width_px: int
    height_px: int
    letterbox: Letterbox | None
    scaled_hw: tuple[int, int]


class FrameConverter:
    """Turns the frames of one stream into pictures, letterboxed onto ``canvas_hw`` where that is given."""

    def __init__(self, sample_aspect_ratio: Fraction | None, canvas_hw: tuple[int, int] | None) -> None:
        self._sample_aspect_ratio = sample_aspect_ratio
        self._canvas_hw = canvas_hw
        self._scaler, self._interleaver = VideoReformatter(), VideoReformatter()
        self._known: tuple[tuple[int, int, int], _Geometry] | None = None

    def convert(self, frame: VideoFrame) -> Picture:
        """Convert one frame."""
        geometry = self._find_geometry(frame)
        scaled = self._scale(frame, geometry.scaled_hw)
        upright = np.rot90(scaled, round(frame.rotation / 90)) if frame.rotation else scaled
        pixels = _place(upright, geometry.letterbox)
        return Picture(pixels, geometry.letterbox, geometry.width_px, geometry.height_px)

    def _find_geometry(self, frame: VideoFrame) -> _Geometry:
        shape = frame.width, frame.height, frame.rotation
        if self._known is None or self._known[0] != shape:
            width_px, height_px = compute_upright_size(frame, self._sample_aspect_ratio)
            upright_hw, letterbox = (height_px, width_px), None
            if self._canvas_hw is not None:
                letterbox = compute_letterbox(upright_hw, self._canvas_hw)
                upright_hw = letterbox.content_hw
            scaled_hw = upright_hw[::-1] if frame.rotation % 180 else upright_hw
            self._known = shape, _Geometry(width_px, height_px, letterbox, scaled_hw)
        return self._known[1]

    def _scale(self, frame: VideoFrame, hw: tuple[int, int]) -> PixelArray:
        # Scaled to planes, FFmpeg is quicker than to interleaved RGB, and keeps the chroma of every pixel.
        is_scaled = hw != (frame.height, frame.width)
        shrinks = hw[0] < frame.height or hw[1] < frame.width
        rgb = self._scaler.reformat(
            frame,
            hw[1],
            hw[0],
            "gbrp" if is_scaled else "rgb24",
            src_colorspace=_choose_matrix(frame),
            src_color_range=frame.color_range or ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
            threads=1,
        )
        if is_scaled:
            rgb = self._interleaver.reformat(rgb, format="rgb24", threads=1)
        plane = rgb.planes[0]
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return np.asarray(lines[: hw[0], : 3 * hw[1]].reshape(hw[0], hw[1], 3))


def _choose_matrix(frame: VideoFrame) -> Colorspace:
    if frame.colorspace in _MATRICES:
        return _MATRICES[frame.colorspace]
    return Colorspace.ITU709 if frame.height >= _HD_HEIGHT_PX else Colorspace.ITU601


def _place(pixels: PixelArray, letterbox: Letterbox | None) -> PixelArray:
    if letterbox is None or letterbox.content_hw == letterbox.canvas_hw:
        return np.ascontiguousarray(pixels)
    canvas = np.zeros((*letterbox.canvas_hw, 3), np.uint8)
    height, width = letterbox.content_hw
    canvas[letterbox.top : letterbox.top + height, letterbox.left : letterbox.left + width] = pixels
    return canvas
