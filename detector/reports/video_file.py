"""A scored video's file, opened again: the version that was scored, a range of its frames, or one.

Owns how reports open videos. Refuses, as ``detector.media`` does, a file that changed since.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from itertools import takewhile
from typing import BinaryIO

from detector.errors import DamagedVideoError
from detector.media.filesystem import FileAccess, open_content
from detector.media.video.container import open_video
from detector.media.video.frames import VideoFrame, read_frames
from detector.media.video.index import VideoIndex, read_index
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import Segment, cut_into_segments
from detector.reports.scored_video import SAME_TIME_S, ScoredVideo
from detector.settings import MediaSettings

MAX_PIXELS: int = MediaSettings.model_fields["max_pixels"].default
_THREADS = min(8, os.cpu_count() or 1)
_WITHOUT_TIMES = ("avi",)  # its frames may be counted only
_EVERY_FRAME = parse_sampling("every_frame")


def open_scored(video: ScoredVideo) -> AbstractContextManager[BinaryIO]:
    """Open the file of ``video`` if it still is the one that was scored.

    Raises ``MediaChangedError`` when size or modification time are others, ``MediaNotFoundError``,
    ``UnreadableMediaError``.
    """
    # Symbolic links were followed or not when it was listed; the name in the table is the one to open.
    return open_content(
        video.media_uri,
        size_bytes=video.size_bytes,
        modified_at=video.modified_at,
        access=FileAccess(),
        follow_symlinks=True,
    )


def read_range(
    file: BinaryIO,
    index: VideoIndex,
    start_s: float,
    end_s: float,
    *,
    stream: int | None,
    canvas_hw: tuple[int, int],
) -> Iterator[VideoFrame]:
    """Read every frame with a time in [``start_s``, ``end_s``), letterboxed to ``canvas_hw``, in order.

    Raises ``DamagedVideoError`` after the last good frame of a broken range.
    """
    # Where frames have no times of their own, all are read and counted: such a file can't be cut.
    first_s, last_s = (start_s, end_s) if index.has_pts else (0.0, None)
    (segment,) = cut_into_segments(
        index, segment_s=index.end_s + 1, start_s=first_s, end_s=last_s, sampling=_EVERY_FRAME
    )
    frames = _read(file, segment, stream, canvas_hw)
    if index.has_pts:
        return frames
    until = takewhile(lambda frame: frame.time_s < end_s - SAME_TIME_S, frames)
    return (frame for frame in until if frame.time_s >= start_s - SAME_TIME_S)


def read_moment(
    file: BinaryIO, frame_index: int, time_s: float, *, stream: int | None, canvas_hw: tuple[int, int]
) -> VideoFrame | None:
    """Read the one frame with this number and time, letterboxed to ``canvas_hw``; None where there is none.

    Reads the file around that time alone, except in containers that don't tell when frames are shown.
    """
    with open_video(_rewind(file), stream=stream, max_pixels=MAX_PIXELS) as source:
        pts = round((Fraction(time_s) + source.start_s) / source.time_base)
        tells_times = source.container.format.name not in _WITHOUT_TIMES
    segment = Segment(0, 1, time_s, time_s, frame_index, 1, pts, pts + 1, 1, has_pts=True, damage=None)
    frame = _read_first(_read(file, segment, stream, canvas_hw)) if tells_times else None
    if frame is not None:
        return frame
    index = read_index(_rewind(file), stream=stream, max_pixels=MAX_PIXELS)
    start_s, end_s = time_s - SAME_TIME_S, time_s + 2 * SAME_TIME_S
    return _read_first(read_range(file, index, start_s, end_s, stream=stream, canvas_hw=canvas_hw))


def _read_first(frames: Iterator[VideoFrame]) -> VideoFrame | None:
    with contextlib.suppress(DamagedVideoError):
        return next(frames, None)
    return None


def _read(
    file: BinaryIO, segment: Segment, stream: int | None, canvas_hw: tuple[int, int]
) -> Iterator[VideoFrame]:
    return read_frames(
        file,
        segment,
        sampling=_EVERY_FRAME,
        canvas_hw=canvas_hw,
        stream=stream,
        max_pixels=MAX_PIXELS,
        codec_threads=_THREADS,
    )


def _rewind(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file
