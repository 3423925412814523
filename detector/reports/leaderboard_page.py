"""One self-contained HTML page of a search: the leaderboard and the learning curves of its trials.

Owns the page's content and the template and style beside it; the rest of its looks are those of the page of
detections. The page asks the network for nothing and runs no script.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from detector.evaluation.leaderboard import Leaderboard
from detector.reports import learning_curves
from detector.reports.leaderboard_text import choose_cells, describe_outcome, show_cells, show_figure

_COLOURS = 8
_HERE = Path(__file__).parent


def write_leaderboard_page(leaderboard: Leaderboard, out: Path, *, title: str = "Search") -> None:
    """Write the page of a search; the folder of ``out`` is made."""
    style = Markup("").join(_read_part(name) for name in ("page.css", "leaderboard_page.css"))
    content = {
        "title": title,
        "outcome": describe_outcome(leaderboard),
        "board": leaderboard,
        "counts": {
            status: sum(row.status == status for row in leaderboard.rows)
            for status in ("done", "pruned", "failed", "running")
        },
        "cell_names": choose_cells(leaderboard),
        "show_cells": show_cells,
        "show_figure": show_figure,
        "choose_style": choose_style,
        "plot": learning_curves.plot_curves(leaderboard.rows),
        "size": learning_curves,
        "style": style,
        "style_digest": _digest(style),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_render(content), encoding="utf-8")


def choose_style(trial: int) -> str:
    """Name the style of a trial in page.css: eight colours, then the same ones dashed.

    >>> choose_style(0), choose_style(8)
    ('c0', 'c0 dashed')
    """
    return f"c{trial % _COLOURS}" + (" dashed" if trial // _COLOURS % 2 else "")


def _render(content: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("leaderboard_page.html.j2").render(content)


def _read_part(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 (our own file)


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
