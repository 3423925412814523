"""One self-contained HTML page of what a model found: counts, pictures and stills with boxes, failures.

Owns the page's content and the template, style and script beside it. The page asks the network for
nothing, and its content security policy lets only its own script run. Refuses to decode pictures: the
browser shows the files' own bytes, upright by their EXIF orientation as the boxes are. Videos have stills.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import jinja2
import pandas as pd
from markupsafe import Markup

from detector.reports.pictures import Embedder
from detector.reports.query import fetch_rows
from detector.reports.scored_video import name_moment, read_box
from detector.reports.stills import MAX_VIDEOS, Still, read_stills

MAX_PICTURES = 200
START_SCORE = 0.3
_COLOURS = 8
_HERE = Path(__file__).parent

_SUMMARY = """
SELECT count(DISTINCT media_uri) FILTER (status = 'scored' AND media_kind = 'image') AS pictures,
  count(DISTINCT media_uri) FILTER (status = 'scored' AND media_kind = 'video') AS videos,
  count(DISTINCT media_uri) FILTER (status = 'failed') AS failed,
  count(DISTINCT model_name) AS model_count,
  coalesce(strftime(max(scored_at), '%Y-%m-%d %H:%M'), '') AS scored_at,
  coalesce(string_agg(DISTINCT model_name || ' ' || model_version, ', '), '') AS models
FROM current_scores"""
_LABELS = """
SELECT any_value(class_id) AS class_id, label, count(*) AS detections,
  count(DISTINCT media_uri) AS files, avg(score) AS mean_score
FROM current_detections GROUP BY label ORDER BY detections DESC, label"""
_PICTURES = """
SELECT score_id, media_uri, model_name, size_bytes, width_px, height_px FROM current_scores
WHERE status = 'scored' AND media_kind = 'image' ORDER BY media_uri, model_name LIMIT $limit"""
_BOXES = """
SELECT score_id, frame_index, class_id, label, score, y_min, x_min, y_max, x_max
FROM current_detections SEMI JOIN shown USING (score_id, frame_index)
ORDER BY (y_max - y_min) * (x_max - x_min) DESC, detection_id"""
_FAILURES = """
SELECT media_uri, error_class, arg_min(error_message, segment_index) AS error_message, count(*) AS units,
  bool_or(status = 'scored') AS partly
FROM current_scores WHERE error_class IS NOT NULL
GROUP BY media_uri, model_name, error_class ORDER BY media_uri, error_class"""


@dataclass(frozen=True)
class Box:
    """One detection as the template draws it: edges in fractions of the upright picture, 0 to 1."""

    style: str
    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Picture:
    """One scored picture, or a still of a video: its name, how to show it, and its boxes, the largest first.

    ``moment`` is the still's time as m:ss, ``model`` the model's name where the page shows several; else
    empty.
    """

    name: str
    folder: str
    link: str | None
    source: Markup | None
    note: str
    aspect: float
    boxes: list[Box]
    moment: str = ""
    model: str = ""


def write_page(
    connection: duckdb.DuckDBPyConnection, out: Path, *, title: str, streams: Mapping[str, int] | None = None
) -> None:
    """Write the page of the current rows that ``open_tables`` or ``open_frames`` gives.

    At most ``MAX_PICTURES`` pictures and stills of ``MAX_VIDEOS`` videos are shown, by name; the counts are
    of all. Boxes below the score of the page's slider are hidden, ``START_SCORE`` at first. ``streams`` says
    which stream of its videos a run scored, as ``read_streams`` does. The folder of ``out`` is made.
    """
    (summary,) = fetch_rows(connection, _SUMMARY)
    labels = fetch_rows(connection, _LABELS)
    videos, pictures = _list_figures(connection, streams or {}, names_models=summary["model_count"] > 1)
    content = {
        "title": title,
        "summary": summary,
        "labels": [{**label, "style": style_class(label["class_id"])} for label in labels],
        "videos": videos,
        "videos_shown": min(MAX_VIDEOS, summary["videos"]),
        "pictures": pictures,
        "failures": [{**row, **_split_uri(row["media_uri"])} for row in fetch_rows(connection, _FAILURES)],
        "start_score": START_SCORE,
        "style": (style := _read_part("page.css")),
        "script": (script := _read_part("page.js")),
        "style_digest": _digest(style),
        "script_digest": _digest(script),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(environment.get_template("page.html.j2").render(content), encoding="utf-8")


def style_class(class_id: int) -> str:
    """Name the page's style of a class: eight colours, then the same ones dashed.

    >>> style_class(1), style_class(8), style_class(9)
    ('c0', 'c7', 'c0 dashed')
    """
    colour, dashed = (class_id - 1) % _COLOURS, (class_id - 1) // _COLOURS % 2
    return f"c{colour}" + (" dashed" if dashed else "")


def _list_figures(
    connection: duckdb.DuckDBPyConnection, streams: Mapping[str, int], *, names_models: bool
) -> tuple[list[Picture], list[Picture]]:
    """List the stills and the pictures; the stills are the first to be embedded, since they are small."""
    stills = list(read_stills(connection, streams, START_SCORE))
    rows = fetch_rows(connection, _PICTURES, limit=MAX_PICTURES)
    shown = [(still.score_id, still.frame_index) for still in stills if still.score_id is not None]
    boxes = _read_boxes(connection, [*shown, *((row["score_id"], 0) for row in rows)])
    embedder = Embedder()
    videos = [_show_still(still, boxes, embedder, names_models=names_models) for still in stills]
    pictures = [_show_picture(row, boxes, embedder, names_models=names_models) for row in rows]
    return videos, pictures


def _read_boxes(
    connection: duckdb.DuckDBPyConnection, shown: Iterable[tuple[str | None, int | None]]
) -> dict[tuple[str, int], list[Box]]:
    frames = pd.DataFrame(list(shown), columns=["score_id", "frame_index"])
    connection.register("shown", frames.astype({"score_id": "string", "frame_index": "int32"}))
    boxes: dict[tuple[str, int], list[Box]] = {}
    for row in fetch_rows(connection, _BOXES):
        found = read_box(row)
        box = Box(style_class(found.class_id), found.label, found.score, *found.edges)
        boxes.setdefault((row["score_id"], row["frame_index"]), []).append(box)
    return boxes


def _show_still(
    still: Still, boxes: Mapping[tuple[str, int], list[Box]], embedder: Embedder, *, names_models: bool
) -> Picture:
    source, note = (None, still.note) if still.content is None else embedder.embed_content(still.content)
    name = _split_uri(still.media_uri)
    if still.time_s is not None and name["link"]:
        name["link"] += f"#t={still.time_s:.3f}"  # players begin there
    return Picture(
        **name,
        source=source,
        note=note,
        aspect=still.aspect,
        boxes=boxes.get((still.score_id or "", still.frame_index or 0), []),
        moment="" if still.time_s is None else name_moment(still.time_s),
        model=(still.model_name or "") if names_models else "",
    )


def _show_picture(
    row: Mapping[str, Any],
    boxes: Mapping[tuple[str, int], list[Box]],
    embedder: Embedder,
    *,
    names_models: bool,
) -> Picture:
    source, note = embedder.embed(row["media_uri"], row["size_bytes"])
    return Picture(
        **_split_uri(row["media_uri"]),
        source=source,
        note=note,
        aspect=row["width_px"] / row["height_px"],
        boxes=boxes.get((row["score_id"], 0), []),
        model=(row["model_name"] or "") if names_models else "",
    )


def _split_uri(media_uri: str) -> dict[str, Any]:
    path = PurePosixPath(media_uri)
    link = path.as_uri() if path.is_absolute() else None
    return {"name": path.name, "folder": media_uri.removesuffix(path.name), "link": link}


def _read_part(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 (our own file)


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
