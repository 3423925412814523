"""An annotated clip of a scored video: its frames at their own times, with what the tables say was found.

Owns which frames a clip has, its size, and which boxes a frame shows. Runs no model. Refuses a file that
isn't the version that was scored, and a range that wasn't scored.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import duckdb
import numpy as np
from pydantic import Field, model_validator

from detector.errors import (
    DamagedVideoError,
    MediaChangedError,
    MediaError,
    MediaNotFoundError,
    SettingsError,
)
from detector.media.filesystem import is_remote
from detector.media.video.frames import VideoFrame
from detector.media.video.index import VideoIndex, read_index
from detector.reports.drawing import draw_boxes
from detector.reports.h264 import H264Writer
from detector.reports.scored_video import (
    SAME_TIME_S,
    ScoredFrame,
    ScoredVideo,
    Timeline,
    find_video,
    read_scored_frames,
)
from detector.reports.video_file import MAX_PIXELS, open_scored, read_range
from detector.settings_sources import Section

_LEAST_SIDE_PX = 480  # the longer side: below, letters would cover the picture
_NAMED = 5


class ClipSettings(Section):
    """An annotated clip instead of the page, from what the tables hold; no model is run."""

    video: str | None = Field(
        None, description="the scored video: its media_uri, a path, or the end of one such as walk.mkv"
    )
    start_s: float = Field(0, ge=0, description="seconds from the file's start where the clip begins")
    end_s: float | None = Field(
        None, gt=0, description="seconds from the file's start where it ends (default: the video's end)"
    )
    model: str | None = Field(
        None, description="model_name whose boxes are drawn (default: the one that scored it last)"
    )
    min_score: float = Field(0.3, ge=0, le=1, description="boxes below are not drawn")
    hold_s: float = Field(
        1.5,
        ge=0,
        description="boxes of a scored frame stay until the next scored one, at most this many seconds",
    )
    max_side_px: int = Field(1280, ge=64, description="larger frames are shrunk to this longer side")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError("clip.end_s must be after clip.start_s")
        return self


@dataclass(frozen=True)
class Clip:
    """What a clip shows: from ``start_s`` to ``end_s`` of the video, ``frames``, of them ``scored_frames``.

    ``damage`` says where and how the file broke inside the range; None where it didn't.
    """

    media_uri: str
    start_s: float
    end_s: float
    frames: int
    scored_frames: int
    damage: str | None

    def describe(self) -> str:
        """Say it in one line."""
        line = (
            f"{self.media_uri} from {self.start_s:.2f} to {self.end_s:.2f} s: "
            f"{self.frames:,} frames, {self.scored_frames:,} of them scored"
        )
        return line if self.damage is None else f"{line}; the file is damaged there: {self.damage}"


def write_clip(connection: duckdb.DuckDBPyConnection, settings: ClipSettings, out: Path) -> Clip:
    """Write an H.264 mp4 of ``settings.video`` from start_s to before end_s, with its boxes, to ``out``.

    Begins with the frame that is shown at ``start_s``. Each frame has its own presentation time and, where
    it was not scored itself, the boxes of the last scored frame before it, for at most ``hold_s``. The
    longer side is at most ``max_side_px`` and, where that allows, at least 480 pixels. ``out`` appears when
    the clip is whole; its folder is made.

    Raises ``SettingsError`` when the video wasn't scored, isn't the file that was scored, can't be read, or
    the range wasn't scored; ``InstallationError`` where no H.264 encoder is.
    """
    name = settings.video or ""
    video = find_video(connection, name, settings.model)
    _refuse_overwriting(video, out)
    try:
        with open_scored(video) as file, _make_whole(out) as partial:
            return _write_clip(connection, video, file, settings, partial)
    except MediaError as error:
        raise SettingsError(f"clip.video {name} can't be shown: {error}{_advise(error)}") from error


def choose_canvas_hw(height_px: int, width_px: int, max_side_px: int) -> tuple[int, int]:
    """Choose the clip's (height, width), both even, for a video's upright size.

    >>> choose_canvas_hw(1080, 1920, 1280), choose_canvas_hw(121, 161, 1280)
    ((720, 1280), (360, 480))
    """
    longer = max(height_px, width_px)
    scale = 2 * (min(max(longer, _LEAST_SIDE_PX), max_side_px) // 2) / longer
    height, width = (2 * max(1, round(side * scale / 2)) for side in (height_px, width_px))
    return height, width


def choose_range(index: VideoIndex, settings: ClipSettings) -> tuple[float, float]:
    """Choose when the clip begins and ends: where the frame shown at start_s does, and at end_s or the end.

    Raises ``SettingsError`` when the video is over by then.
    """
    if not len(index.times_s) or settings.start_s >= index.end_s:
        raise SettingsError(f"clip.start_s is {settings.start_s:g}: the video is {index.end_s:.2f} s long")
    shown = max(0, int(np.searchsorted(index.times_s, settings.start_s, "right")) - 1)
    end_s = index.end_s if settings.end_s is None else min(settings.end_s, index.end_s)
    if index.times_s[shown] >= end_s:
        raise SettingsError(
            f"clip.end_s is {end_s:g}: the first frame is shown at {index.times_s[shown]:.2f} s"
        )
    return float(index.times_s[shown]), end_s


def _write_clip(
    connection: duckdb.DuckDBPyConnection,
    video: ScoredVideo,
    file: BinaryIO,
    settings: ClipSettings,
    path: Path,
) -> Clip:
    index = read_index(file, stream=video.stream, max_pixels=MAX_PIXELS)
    first_s, end_s = choose_range(index, settings)
    _refuse_unscored(video, first_s, end_s)
    scored = read_scored_frames(
        connection, video, start_s=first_s - settings.hold_s, end_s=end_s, min_score=settings.min_score
    )
    _refuse_other_times(scored, index, video)
    canvas_hw = choose_canvas_hw(index.height_px, index.width_px, settings.max_side_px)
    start_s = max(first_s, settings.start_s)
    frames = read_range(file, index, first_s, end_s, stream=video.stream, canvas_hw=canvas_hw)
    timeline = Timeline(scored, settings.hold_s)
    count = int(np.count_nonzero((index.times_s >= first_s) & (index.times_s < end_s)))
    with H264Writer(path, canvas_hw, count / (end_s - start_s)) as writer:
        shown, damage = _write_frames(writer, frames, timeline, start_s)
        writer.finish(end_s - start_s)
    return Clip(video.media_uri, start_s, end_s, shown, timeline.count_from(first_s), damage)


def _write_frames(
    writer: H264Writer, frames: Iterator[VideoFrame], timeline: Timeline, start_s: float
) -> tuple[int, str | None]:
    """Write all frames that can be decoded; return how many there were, and what broke."""
    shown = 0
    try:
        for frame in frames:
            pixels = draw_boxes(frame.pixels, timeline.find_boxes(frame.time_s), frame.letterbox)
            writer.write(pixels, max(0.0, frame.time_s - start_s))
            shown += 1
    except DamagedVideoError as error:
        if not shown:
            raise
        return shown, str(error)
    return shown, None


def _refuse_overwriting(video: ScoredVideo, out: Path) -> None:
    if out.exists() and not is_remote(video.media_uri) and out.samefile(video.media_uri):
        raise SettingsError(f"out {out} is the video itself: give another name")


def _refuse_unscored(video: ScoredVideo, start_s: float, end_s: float) -> None:
    if not any(begin < end_s and start_s < end for begin, end in video.spans_s):
        spans = ", ".join(f"{begin:g} to {end:g}" for begin, end in video.spans_s[:_NAMED])
        raise SettingsError(
            f"clip.start_s, clip.end_s: nothing of {start_s:g} to {end_s:g} s was scored, but {spans} s; "
            "media.video.start_s and end_s of jobs/score.py bound what is"
        )


def _refuse_other_times(scored: list[ScoredFrame], index: VideoIndex, video: ScoredVideo) -> None:
    # Boxes of another stream would be drawn where nothing is.
    times_s = np.array([frame.time_s for frame in scored])
    places = np.searchsorted(index.times_s, times_s - SAME_TIME_S).clip(max=len(index.times_s) - 1)
    others = times_s[np.abs(index.times_s[places] - times_s) > SAME_TIME_S]
    if len(others):
        raise SettingsError(
            f"{video.media_uri}: the tables have a frame at {others[0]:.3f} s, the file has none; was "
            "another of its streams scored? Run jobs/score.py again"
        )


def _advise(error: MediaError) -> str:
    if isinstance(error, MediaChangedError | MediaNotFoundError):
        return "; the tables tell about the file as it was: run jobs/score.py again"
    return ""


@contextlib.contextmanager
def _make_whole(out: Path) -> Iterator[Path]:
    """Give a name beside ``out`` to write to; it becomes ``out`` when nothing was raised, else it goes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    try:
        yield partial
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
