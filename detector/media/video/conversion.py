"""A decoded frame as a picture: RGB, upright, square pixels, on the model's canvas if there is one.

Owns geometry, and which way a frame goes: the short one of ``yuv`` where it's scaled and has 8-bit planes,
else FFmpeg's scaler.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from detector.boxes import Letterbox, compute_letterbox
from detector.media.video.index import compute_upright_size
from detector.media.video.yuv import PLANAR, choose_matrix, convert_planes, is_full_range

PixelArray = NDArray[np.uint8]
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
        canvas, content = _create_canvas(geometry)
        if frame.rotation:
            turned = np.empty((*geometry.scaled_hw, 3), np.uint8)
            self._scale(frame, turned)
            content[:] = np.rot90(turned, round(frame.rotation / 90))
        else:
            self._scale(frame, content)
        return Picture(canvas, geometry.letterbox, geometry.width_px, geometry.height_px)

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

    def _scale(self, frame: VideoFrame, out: PixelArray) -> None:
        height, width = out.shape[:2]
        is_scaled = (height, width) != (frame.height, frame.width)
        if is_scaled and frame.format.name in PLANAR:
            convert_planes(frame, out)
            return
        shrinks = height < frame.height or width < frame.width
        # Scaled to planes, FFmpeg is quicker than to interleaved RGB, and keeps the chroma of every pixel.
        rgb = self._scaler.reformat(
            frame,
            width,
            height,
            "gbrp" if is_scaled else "rgb24",
            src_colorspace=_MATRICES[choose_matrix(frame)],
            src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
            threads=1,
        )
        if is_scaled:
            rgb = self._interleaver.reformat(rgb, format="rgb24", threads=1)
        plane = rgb.planes[0]
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        out[:] = lines[:height, : 3 * width].reshape(height, width, 3)


def _create_canvas(geometry: _Geometry) -> tuple[PixelArray, PixelArray]:
    """Give a canvas with black borders, and the part of it where the picture goes."""
    letterbox = geometry.letterbox
    if letterbox is None:
        canvas = np.empty((geometry.height_px, geometry.width_px, 3), np.uint8)
        return canvas, canvas
    (height, width), top, left = letterbox.content_hw, letterbox.top, letterbox.left
    # Memory that was used before: that of np.zeros is fetched from the system, page by page, every time.
    canvas = np.empty((*letterbox.canvas_hw, 3), np.uint8)
    content = canvas[top : top + height, left : left + width]
    canvas[:top] = canvas[top + height :] = 0
    canvas[top : top + height, :left] = canvas[top : top + height, left + width :] = 0
    return canvas, content
