"""One self-contained HTML page of what a model found: counts, pictures with boxes, failures.

Owns the page's content and the template, style and script beside it. The page asks the network for
nothing, and its content security policy lets only its own script run. Refuses to decode pictures: the
browser shows the files' own bytes, upright by their EXIF orientation as the boxes are.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import jinja2
import pandas as pd
from markupsafe import Markup

from detector.reports.pictures import Embedder
from detector.reports.query import open_frames

SCORE_COLUMNS = (
    "score_id", "media_uri", "media_kind", "size_bytes", "width_px", "height_px", "status", "error_class",
    "error_message", "attempt", "model_name", "model_version", "scored_at",
)  # fmt: skip
DETECTION_COLUMNS = (
    "detection_id", "score_id", "media_uri", "class_id", "label", "score", "y_min", "x_min", "y_max", "x_max",
)  # fmt: skip
MAX_PICTURES = 200
START_SCORE = 0.3
_COLOURS = 8
_HERE = Path(__file__).parent

_SUMMARY = """
SELECT count(*) FILTER (status = 'scored') AS scored, count(*) FILTER (status = 'failed') AS failed,
  coalesce(strftime(max(scored_at), '%Y-%m-%d %H:%M'), '') AS scored_at,
  coalesce(string_agg(DISTINCT model_name || ' ' || model_version, ', '), '') AS models
FROM current_scores"""
_LABELS = """
SELECT any_value(class_id) AS class_id, label, count(*) AS detections,
  count(DISTINCT media_uri) AS pictures, avg(score) AS mean_score
FROM current_detections GROUP BY label ORDER BY detections DESC, label"""
_PICTURES = """
SELECT score_id, media_uri, size_bytes, width_px, height_px FROM current_scores
WHERE status = 'scored' AND media_kind = 'image' ORDER BY media_uri LIMIT $limit"""
_BOXES = """
SELECT score_id, class_id, label, score, y_min, x_min, y_max, x_max FROM current_detections
ORDER BY (y_max - y_min) * (x_max - x_min) DESC, detection_id"""
_FAILURES = """
SELECT media_uri, error_class, error_message, size_bytes FROM current_scores
WHERE status = 'failed' ORDER BY media_uri"""


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
    """One scored picture: its name, how to show it, and its boxes, the largest first."""

    name: str
    folder: str
    link: str | None
    source: Markup | None
    note: str
    aspect: float
    boxes: list[Box]


def write_page(scores: pd.DataFrame, detections: pd.DataFrame, out: Path, *, title: str) -> None:
    """Write the page of the current rows of ``scores`` and ``detections``.

    The columns that are read are ``SCORE_COLUMNS`` and ``DETECTION_COLUMNS``, as in the tables. Rows of older
    versions may be among them and are left out; skipped media too. At most
    ``MAX_PICTURES`` pictures are shown, by name; the counts are of all. Boxes below the score of the
    page's slider are hidden, ``START_SCORE`` at first. The folder of ``out`` is made.
    """
    connection = open_frames(scores, detections)
    labels = _fetch(connection, _LABELS)
    content = {
        "title": title,
        "summary": _fetch(connection, _SUMMARY)[0],
        "labels": [{**label, "style": style_class(label["class_id"])} for label in labels],
        "pictures": _list_pictures(connection),
        "failures": [{**row, **_split_uri(row["media_uri"])} for row in _fetch(connection, _FAILURES)],
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


def _list_pictures(connection: duckdb.DuckDBPyConnection) -> list[Picture]:
    rows = _fetch(connection, _PICTURES, limit=MAX_PICTURES)
    boxes: dict[str, list[Box]] = {row["score_id"]: [] for row in rows}
    for row in _fetch(connection, _BOXES):
        if row["score_id"] in boxes:
            edges = [min(1.0, max(0.0, row[edge])) for edge in ("x_min", "y_min", "x_max", "y_max")]
            boxes[row["score_id"]].append(
                Box(style_class(row["class_id"]), row["label"], row["score"], *edges)
            )
    embedder = Embedder()
    pictures = []
    for row in rows:
        source, note = embedder.embed(row["media_uri"], row["size_bytes"])
        aspect = row["width_px"] / row["height_px"]
        name = _split_uri(row["media_uri"])
        pictures.append(
            Picture(**name, source=source, note=note, aspect=aspect, boxes=boxes[row["score_id"]])
        )
    return pictures


def _split_uri(media_uri: str) -> dict[str, Any]:
    path = PurePosixPath(media_uri)
    link = path.as_uri() if path.is_absolute() else None
    return {"name": path.name, "folder": media_uri.removesuffix(path.name), "link": link}


def _fetch(connection: duckdb.DuckDBPyConnection, query: str, **values: int) -> list[dict[str, Any]]:
    relation = connection.sql(query, params=values)
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def _read_part(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 (our own file)


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
