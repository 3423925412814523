"""Frames to an H.264 mp4 that browsers play, each shown at its own time.

Owns the encoder's choice and settings: 4:2:0 in BT.709 limited range, the index in front, no audio. Refuses
frames of odd or changing size. Writes the file that it is given the name of and no other.
"""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from detector.errors import InstallationError

# Encoders of FFmpeg that give H.264 on a CPU, the first that PyAV was built with. Without B-frames the
# packets come in the order of the frames, so that each can be given its true duration.
ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "23", "bf": "0"},
    "libopenh264": {"allow_skip_frames": "0"},
}
_TICKS_PER_S = 90_000
_BT709 = 1
_LIMITED_RANGE = 1
_KEYFRAME_EVERY = 60


class H264Writer:
    """Writes frames of one size to ``path``, in a ``with`` statement.

    Raises ``InstallationError`` where no encoder is.
    ``frame_hw`` is even; ``frames_per_s`` is a hint for the encoder alone: times are those of the frames.
    """

    def __init__(self, path: Path, frame_hw: tuple[int, int], frames_per_s: float) -> None:
        encoder = choose_encoder()
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(max(1.0, min(240.0, frames_per_s))).limit_denominator(1001)
        stream: Any = self._container.add_stream(encoder, rate=rate, options=ENCODERS[encoder])
        stream.height, stream.width = frame_hw
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS_PER_S)
        context.gop_size = _KEYFRAME_EVERY
        context.color_range = _LIMITED_RANGE
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._stream = stream
        self._waiting: av.VideoFrame | None = None
        self._durations: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def write(self, pixels: NDArray[np.uint8], time_s: float) -> None:
        """Write a frame, uint8 [H, W, 3] RGB, shown from ``time_s`` on; times increase from 0."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts = round(time_s * _TICKS_PER_S)
        if self._waiting is not None and self._waiting.pts is not None:
            frame.pts = max(frame.pts, self._waiting.pts + 1)
        frame.time_base = Fraction(1, _TICKS_PER_S)
        self._encode_waiting(frame.pts)
        self._waiting = frame

    def finish(self, end_s: float) -> None:
        """End the file: the last frame is shown until ``end_s``."""
        self._encode_waiting(round(end_s * _TICKS_PER_S))
        self._mux(self._stream.encode(None))

    def _encode_waiting(self, until: int) -> None:
        frame, self._waiting = self._waiting, None
        if frame is not None and frame.pts is not None:
            self._durations[frame.pts] = max(1, until - frame.pts)
            self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)


def choose_encoder() -> str:
    """Name the first of ``ENCODERS`` that PyAV has; raises ``InstallationError`` when it has none."""
    for name in ENCODERS:
        if name in av.codecs_available:
            try:
                av.Codec(name, "w")
            except ValueError:
                continue
            return name
    raise InstallationError(
        f"this PyAV has no H.264 encoder ({', '.join(ENCODERS)}): install the av wheel from PyPI"
    )
