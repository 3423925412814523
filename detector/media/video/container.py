"""Opening a video: one given file, its container, its one video stream.

Owns what is accepted. Refuses everything that could lead elsewhere (playlists, external references, any
protocol) and pictures larger than allowed, before a frame is decoded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from detector.errors import (
    DamagedVideoError,
    EmptyMediaError,
    NotAVideoError,
    NoVideoStreamError,
    TooManyPixelsError,
)

# FFmpeg's names of containers that hold their streams themselves.
FORMATS = ("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "ogg", "asf")
_READ_BYTES = 1024 * 1024
_HEAD_BYTES = 384
# (offset, bytes) that files of these formats begin with: what tells a damaged video from no video.
_MAGIC = (
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "),
    (0, b"\x00\x00\x01\xba"), (0, b"FLV"), (0, b"OggS"), (0, b"0&\xb2u"),
)  # fmt: skip
_TS_PACKET_BYTES = 188

av.logging.set_level(None)  # damage is told by rows; FFmpeg's own lines would name no file


@dataclass(frozen=True)
class VideoSource:
    """An open video: its container, the stream to read and its time base, when the file starts."""

    container: InputContainer
    stream: VideoStream
    time_base: Fraction
    start_s: Fraction

    def tell_time_s(self, pts: int) -> float:
        """Give a presentation time in seconds from the file's start."""
        return float(pts * self.time_base - self.start_s)


@contextmanager
def open_video(file: BinaryIO, *, stream: int | None = None, max_pixels: int) -> Iterator[VideoSource]:
    """Open the video in a seekable binary file, for its default stream or the ``stream``-th.

    Only ``file`` is ever read. Raises ``EmptyMediaError``, ``NotAVideoError`` (text, a playlist, any
    format not in ``FORMATS``), ``NoVideoStreamError``, ``TooManyPixelsError`` when the header announces
    frames of more than ``max_pixels``, ``DamagedVideoError`` when the header can't be read.
    """
    head = file.read(_HEAD_BYTES)
    if not head:
        raise EmptyMediaError("there are no bytes to decode")
    file.seek(0)
    limit = {
        "max_pixels": str(max_pixels)
    }  # FFmpeg decodes while it opens, and may be sent another size later
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "", "enable_drefs": "0"} | limit
    try:
        container = av.open(file, "r", options=options, buffer_size=_READ_BYTES)
    except (av.FFmpegError, ValueError) as error:
        if _begins_like_a_video(head):
            raise DamagedVideoError(f"the header can't be read: {explain(error)}") from error
        raise NotAVideoError(f"the bytes are no video of the formats {', '.join(FORMATS)}") from error
    with container:
        chosen = _choose_stream(container, stream)
        _refuse_undecodable(chosen)
        _refuse_oversized(chosen, max_pixels)
        chosen.codec_context.options = limit
        if chosen.time_base is None:
            raise DamagedVideoError("the video stream has no time base")
        yield VideoSource(container, chosen, chosen.time_base, _find_start_s(container, chosen))


def explain(error: Exception) -> str:
    """Word an FFmpeg error without names of files."""
    return str(getattr(error, "strerror", None) or type(error).__name__)[:120]


def _begins_like_a_video(head: bytes) -> bool:
    is_transport = head[:1] == b"G" and head[_TS_PACKET_BYTES : _TS_PACKET_BYTES + 1] == b"G"
    return is_transport or any(head[at : at + len(magic)] == magic for at, magic in _MAGIC)


def _choose_stream(container: InputContainer, stream: int | None) -> VideoStream:
    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not found:
        others = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise NoVideoStreamError(f"the file has no video stream; it has {others}")
    if stream is not None:
        if stream >= len(found):
            raise NoVideoStreamError(f"media.video.stream is {stream}, but the file has {len(found)}, from 0")
        return found[stream]
    default = [s for s in found if s.disposition & Disposition.default]
    best: Any = container.streams.best("video")
    return (default or [s for s in found if s is best] or found)[0]


def _refuse_undecodable(stream: VideoStream) -> None:
    context: Any = stream.codec_context  # None where FFmpeg knows no such codec
    if context is None:
        raise NotAVideoError("no decoder here knows the codec of the file's video stream")


def _refuse_oversized(stream: VideoStream, max_pixels: int) -> None:
    width_px, height_px = stream.codec_context.width, stream.codec_context.height
    if not width_px * height_px:
        raise DamagedVideoError(
            f"no frame's size can be read, at 0.0 s, or it's more than media.max_pixels = {max_pixels:,}"
        )
    if width_px * height_px > max_pixels:
        raise TooManyPixelsError(
            f"the header announces frames of {width_px} x {height_px} pixels: more than media.max_pixels = "
            f"{max_pixels:,}",
            width_px=width_px,
            height_px=height_px,
        )


def _find_start_s(container: InputContainer, stream: VideoStream) -> Fraction:
    first = None if stream.start_time is None else stream.start_time * (stream.time_base or Fraction(0))
    if container.start_time is None:
        return first or Fraction(0)
    # The container's start is in microseconds: where it's only the stream's, rounded, the stream's is exact.
    start = Fraction(container.start_time, av.time_base)
    return first if first is not None and abs(first - start) <= Fraction(1, av.time_base) else start
