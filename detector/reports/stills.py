"""Stills of scored videos for the page: the frames where most was found, spread over the video.

Owns their choice, and their reading from the file that was scored. Reads no other frames; a video that can't
be read has a note instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import duckdb
from PIL import Image

from detector.errors import MediaChangedError, MediaError
from detector.media.filesystem import is_remote
from detector.media.video.frames import VideoFrame
from detector.reports.query import fetch_rows
from detector.reports.scored_video import build_video
from detector.reports.video_file import open_scored, read_moment

MAX_VIDEOS = 24
STILLS_PER_VIDEO = 3
_SIDE_PX = 720
_QUALITY = 82

_VIDEOS = """
SELECT media_uri, model_name, any_value(size_bytes) AS size_bytes,
  any_value(epoch_us(modified_at::TIMESTAMPTZ)) AS modified_us,
  max_by(run_id, scored_at) AS run_id, max(width_px) AS width_px, max(height_px) AS height_px,
  sum(frames_scored)::BIGINT AS frames
FROM current_scores WHERE status = 'scored' AND media_kind = 'video'
GROUP BY media_uri, model_name ORDER BY media_uri, model_name LIMIT $limit"""
# Of the frames with a box that the page shows at first, or of all if there is none: the time between the
# first and the last in equal parts, and of each part the frame of the highest scores.
_BEST_FRAMES = """
WITH frames AS (
  SELECT media_uri, model_name, d.score_id, frame_index, time_s,
    sum(score) FILTER (score >= $score) AS weight, sum(score) AS all_scores
  FROM current_detections AS d JOIN current_scores AS s USING (score_id, media_uri, model_name)
  WHERE s.media_kind = 'video' GROUP BY ALL
), parted AS (
  SELECT *, min(time_s) OVER video AS first_s, max(time_s) OVER video AS last_s,
    floor($count * (time_s - first_s) / (last_s - first_s + 1e-6)) AS part
  FROM (FROM frames QUALIFY weight IS NOT NULL
    OR max(weight) OVER (PARTITION BY media_uri, model_name) IS NULL)
  WINDOW video AS (PARTITION BY media_uri, model_name)
)
SELECT media_uri, model_name, score_id, frame_index, time_s FROM parted
QUALIFY row_number() OVER (
  PARTITION BY media_uri, model_name, part ORDER BY weight DESC NULLS LAST, all_scores DESC, time_s) = 1
ORDER BY media_uri, model_name, time_s"""


@dataclass(frozen=True)
class Still:
    """One frame of a scored video: JPEG bytes, or a note why there are none.

    ``score_id`` and ``frame_index`` name its detections; ``time_s`` is None where nothing was found.
    """

    media_uri: str
    model_name: str | None
    score_id: str | None
    frame_index: int | None
    time_s: float | None
    aspect: float
    content: bytes | None
    note: str


def read_stills(
    connection: duckdb.DuckDBPyConnection, streams: Mapping[str, int], min_score: float
) -> Iterator[Still]:
    """Read up to ``STILLS_PER_VIDEO`` stills of each of the first ``MAX_VIDEOS`` current videos, by name.

    Frames count by their boxes from ``min_score``; a video without boxes has one still without content.
    ``streams`` are the runs' settings as ``read_streams`` gives them.
    """
    chosen: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in fetch_rows(connection, _BEST_FRAMES, count=STILLS_PER_VIDEO, score=min_score):
        chosen.setdefault((row["media_uri"], row["model_name"]), []).append(row)
    for video in fetch_rows(connection, _VIDEOS, limit=MAX_VIDEOS):
        rows = chosen.get((video["media_uri"], video["model_name"]), [])
        contents = _read_contents(video, rows, streams)
        named = {"media_uri": video["media_uri"], "model_name": video["model_name"]}
        aspect = video["width_px"] / video["height_px"]
        for row, (content, note) in zip(rows, contents, strict=True):
            found = {name: row[name] for name in ("score_id", "frame_index", "time_s")}
            yield Still(**named, **found, aspect=aspect, content=content, note=note)
        if not rows:
            note = f"nothing found in {video['frames']:,} frames"
            yield Still(
                **named, score_id=None, frame_index=None, time_s=None, aspect=aspect, content=None, note=note
            )


def _read_contents(
    video: Mapping[str, Any], frames: Sequence[Mapping[str, Any]], streams: Mapping[str, int]
) -> list[tuple[bytes | None, str]]:
    if not frames:
        return []
    if is_remote(video["media_uri"]):
        return [(None, "not a local file")] * len(frames)
    described = build_video(video, streams)
    scale = min(1.0, _SIDE_PX / max(video["height_px"], video["width_px"]))
    height, width = (max(1, round(video[side] * scale)) for side in ("height_px", "width_px"))
    contents: list[tuple[bytes | None, str]] = []
    try:
        with open_scored(described) as file:
            for frame in frames:
                still = read_moment(
                    file,
                    frame["frame_index"],
                    frame["time_s"],
                    stream=described.stream,
                    canvas_hw=(height, width),
                )
                contents.append((None, "can't be decoded") if still is None else (_encode(still), ""))
    except MediaChangedError:
        return [(None, "changed since it was scored")] * len(frames)
    except MediaError as error:
        contents += [(None, f"can't be read now: {error}")] * (len(frames) - len(contents))
    return contents


def _encode(frame: VideoFrame) -> bytes:
    encoded = BytesIO()
    Image.fromarray(frame.pixels).save(encoded, "JPEG", quality=_QUALITY)
    return encoded.getvalue()
