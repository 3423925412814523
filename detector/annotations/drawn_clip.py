"""A drawn video: a window that wanders over one large drawn picture.

Owns the demo's clip. Its frames follow from the generator; writes no file.
"""

import io
from fractions import Fraction

import av
import numpy as np

from detector.annotations.shapes import Pixels, draw_picture

_SIZE_HW = (360, 640)
_WIDTH_OF_ALL_PX = 1600
_FRAMES_PER_SECOND = 10


def encode_drawn_clip(generator: np.random.Generator, *, seconds: int) -> bytes:
    """Draw a picture of 1600 x 360 pixels and pan over it: H.264 in mp4, 640 x 360, 10 frames a second."""
    height, width = _SIZE_HW
    whole, _, _ = draw_picture(generator, height_px=height, width_px=_WIDTH_OF_ALL_PX, max_shapes=10)
    lefts = np.linspace(0, _WIDTH_OF_ALL_PX - width, seconds * _FRAMES_PER_SECOND).round().astype(int)
    return _encode([np.ascontiguousarray(whole[:, left : left + width]) for left in lefts])


def _encode(frames: list[Pixels]) -> bytes:
    content = io.BytesIO()
    # One thread and no names of versions: the same frames give the same bytes.
    with av.open(content, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=_FRAMES_PER_SECOND)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "g": str(2 * _FRAMES_PER_SECOND), "threads": "1"}
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FRAMES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return content.getvalue()
