"""A scored video as the tables tell it: its version, what of it was scored, and what was found when.

Owns the questions about one video and the refusals of those that can't be shown. Opens no video.
"""

import bisect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from detector.errors import SettingsError
from detector.media.filesystem import EPOCH, name_medium
from detector.reports.query import fetch_rows

SAME_TIME_S = 0.0005

# The file's own name first; else every file whose path ends like it.
_SEGMENTS = """
SELECT media_uri, media_kind, size_bytes, epoch_us(modified_at::TIMESTAMPTZ) AS modified_us,
  model_name, run_id, status, segment_start_s, segment_end_s, error_class, error_message
FROM current_scores WHERE {condition}
ORDER BY status = 'scored' DESC, scored_at DESC, segment_index"""
_EXACTLY = "media_uri IN ($name, $path)"
_AT_THE_END = "ends_with(media_uri, '/' || $name)"
_FRAMES = """
SELECT frame.time_s AS time_s, frame.detections AS detections FROM (
  SELECT unnest(frames) AS frame FROM current_scores
  WHERE media_uri = $media_uri AND model_name IS NOT DISTINCT FROM $model_name AND status = 'scored'
) WHERE frame.time_s >= $start_s AND frame.time_s < $end_s ORDER BY frame.time_s"""


@dataclass(frozen=True)
class FoundBox:
    """One detection in a frame: edges in fractions of the upright frame, 0 to 1."""

    class_id: int
    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """The left, top, right and bottom edge."""
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True)
class ScoredFrame:
    """One frame that went through the model: its presentation time, and its boxes, the largest first."""

    time_s: float
    boxes: tuple[FoundBox, ...]


@dataclass(frozen=True)
class ScoredVideo:
    """The current version of a video by one model.

    ``spans_s`` are the (start, end) times of its scored segments. ``stream`` counts its video streams as
    media.video.stream does; None is the file's default.
    """

    media_uri: str
    size_bytes: int | None
    modified_at: datetime | None
    model_name: str | None
    stream: int | None
    spans_s: tuple[tuple[float, float], ...]


class Timeline:
    """Scored frames in order of time, and which boxes to show when: those of the last one, for ``hold_s``."""

    def __init__(self, frames: Sequence[ScoredFrame], hold_s: float) -> None:
        self._frames, self._hold_s = frames, hold_s
        self._times_s = [frame.time_s for frame in frames]

    def find_boxes(self, time_s: float) -> tuple[FoundBox, ...]:
        """Find the boxes to show at ``time_s``; none before the first scored frame or long after one."""
        before = bisect.bisect_right(self._times_s, time_s + SAME_TIME_S) - 1
        if before < 0 or time_s - self._times_s[before] > self._hold_s + SAME_TIME_S:
            return ()
        return self._frames[before].boxes

    def count_from(self, time_s: float) -> int:
        """Count the scored frames from ``time_s`` on."""
        return len(self._times_s) - bisect.bisect_left(self._times_s, time_s - SAME_TIME_S)


def find_video(connection: duckdb.DuckDBPyConnection, name: str, model_name: str | None) -> ScoredVideo:
    """Find the video that ``name`` means: a media_uri, a path, or the end of one such as ``walk.mkv``.

    Of several models that scored it, ``model_name``'s version is given, or that of the newest row. Raises
    ``SettingsError`` when no scored video has the name, or more than one.
    """
    rows = _find_rows(connection, name)
    media_uris = sorted({row["media_uri"] for row in rows})
    if len(media_uris) > 1:
        shown = ", ".join(media_uris[:3]) + (", ..." if len(media_uris) > 3 else "")  # noqa: PLR2004
        raise SettingsError(f"clip.video {name} is the end of {len(media_uris)} files: give one of {shown}")
    if rows[0]["media_kind"] != "video":
        raise SettingsError(f"clip.video {name} is an image: the page, --out report.html, shows it")
    rows = _choose_model(rows, name, model_name)
    spans = tuple(sorted(_list_spans(rows)))
    if not spans:
        raise SettingsError(
            f"clip.video {name} could not be scored: {rows[0]['error_class']}: {rows[0]['error_message']}"
        )
    return build_video(rows[0], read_streams(connection), spans)


def build_video(
    row: Mapping[str, Any], streams: Mapping[str, int], spans_s: tuple[tuple[float, float], ...] = ()
) -> ScoredVideo:
    """Build the video of a row with media_uri, size_bytes, modified_us, model_name and run_id."""
    modified_us = row["modified_us"]
    return ScoredVideo(
        row["media_uri"],
        row["size_bytes"],
        None if modified_us is None else EPOCH + timedelta(microseconds=modified_us),
        row["model_name"],
        streams.get(row["run_id"]),
        spans_s,
    )


def read_scored_frames(
    connection: duckdb.DuckDBPyConnection,
    video: ScoredVideo,
    *,
    start_s: float,
    end_s: float,
    min_score: float,
) -> list[ScoredFrame]:
    """Read the scored frames with times in [``start_s``, ``end_s``), in order; boxes from ``min_score``."""
    values = {
        "media_uri": video.media_uri,
        "model_name": video.model_name,
        "start_s": start_s,
        "end_s": end_s,
    }
    return [
        ScoredFrame(
            row["time_s"], sort_boxes(read_box(box) for box in row["detections"] if box["score"] >= min_score)
        )
        for row in fetch_rows(connection, _FRAMES, **values)
    ]


def name_moment(time_s: float) -> str:
    """Name a time of a video as players do.

    >>> name_moment(12.9), name_moment(3671)
    ('0:12', '1:01:11')
    """
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def read_streams(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Read media.video.stream of each run that had the setting, by run_id."""
    rows = fetch_rows(connection, "SELECT run_id, settings FROM runs WHERE settings LIKE '%\"stream\"%'")
    media = {row["run_id"]: json.loads(row["settings"]).get("media", {}) for row in rows}
    streams = {run_id: settings.get("video", {}).get("stream") for run_id, settings in media.items()}
    return {run_id: stream for run_id, stream in streams.items() if stream is not None}


def read_box(row: dict[str, Any]) -> FoundBox:
    """Read a box from a detection's columns; what lies outside the frame is cut off."""
    edges = [min(1.0, max(0.0, row[edge])) for edge in ("x_min", "y_min", "x_max", "y_max")]
    return FoundBox(row["class_id"], row["label"], row["score"], *edges)


def sort_boxes(boxes: Iterable[FoundBox]) -> tuple[FoundBox, ...]:
    """Sort boxes by area, the largest first, so that small ones are drawn over them."""
    return tuple(sorted(boxes, key=lambda box: -(box.right - box.left) * (box.bottom - box.top)))


def _find_rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    path = name_medium(name, has_options=False)
    rows = fetch_rows(connection, _SEGMENTS.format(condition=_EXACTLY), name=name, path=path)
    rows = rows or fetch_rows(connection, _SEGMENTS.format(condition=_AT_THE_END), name=name)
    if not rows:
        raise SettingsError(
            f"clip.video {name} has not been scored: score it with jobs/score.py --media.paths {path} "
            "and the model, into these tables"
        )
    return rows


def _choose_model(rows: list[dict[str, Any]], name: str, model_name: str | None) -> list[dict[str, Any]]:
    models = list(dict.fromkeys(row["model_name"] for row in rows))
    if model_name is not None and model_name not in models:
        raise SettingsError(
            f"clip.model {model_name} has not scored {name}: " + ", ".join(map(str, models)) + " has"
        )
    chosen = models[0] if model_name is None else model_name
    return [row for row in rows if row["model_name"] == chosen]


def _list_spans(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(row["segment_start_s"], row["segment_end_s"]) for row in rows if row["status"] == "scored"]
