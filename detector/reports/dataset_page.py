"""One self-contained HTML page of a dataset's check: counts, measures, problems, pictures with their boxes.

Owns the page's content and the template and style beside it; the rest of its looks are those of the page of
detections. The page asks the network for nothing and runs no script. Refuses to decode pictures: the
browser shows the files' own bytes, upright by their EXIF orientation.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from rich.console import Console

from detector.annotations.command_results import CheckResult, choose_exit_code
from detector.annotations.dataset_report import QUANTILES, Report, ShownPicture
from detector.annotations.problems import Problem
from detector.reports.dataset_text import print_report
from detector.reports.dataset_words import describe_boxes, describe_value, describe_verdict, quote_blanks
from detector.reports.pictures import Embedder

MAX_PROBLEMS_PER_KIND = 200
MAX_PROBLEMS_OPEN = 20  # with more of them, only the lists of errors are open from the start
_COLOURS = 8
_SEVERITIES = ("error", "warning", "note")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ProblemKind:
    """Problems of one code; ``shown`` are the first of ``count``."""

    code: str
    severity: str
    count: int
    shown: tuple[Problem, ...]


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture with its bytes as a data URI, or a note why there are none."""

    picture: ShownPicture
    source: Markup | None
    note: str
    link: str
    aspect: float


def show_check(result: CheckResult, console: Console) -> int:
    """Print a check's report, write its page where one is wanted, and give the exit code."""
    print_report(result.report, console)
    if result.page is not None:
        write_dataset_page(result.report, result.page)
    return choose_exit_code(result.report.problems)


def write_dataset_page(report: Report, out: Path, *, title: str | None = None) -> None:
    """Write the page of a report; the folder of ``out`` is made.

    Of each kind of problem ``MAX_PROBLEMS_PER_KIND`` are listed; the report has chosen the pictures.
    """
    style = Markup("").join(_read_part(name) for name in ("page.css", "dataset_page.css"))
    content = {
        "title": title or f"Check of {Path(report.root).name or report.root}",
        "report": report,
        "verdict": describe_verdict(report),
        "facts": describe_boxes(report),
        "counts": report.count_severities(),
        "kinds": group_problems(report.problems),
        "classes": [{"row": row, "style": choose_style(number)} for number, row in _number_classes(report)],
        "quantiles": ["smallest", *(f"{share:.0%}" for share in QUANTILES[1:-1]), "largest"],
        "pictures": _embed_pictures(report.pictures),
        "choose_style": choose_style,
        "quote_blanks": quote_blanks,
        "describe_value": describe_value,
        "opens_all": len(report.problems) <= MAX_PROBLEMS_OPEN,
        "style": style,
        "style_digest": _digest(style),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_render(content), encoding="utf-8")


def group_problems(problems: Sequence[Problem]) -> list[ProblemKind]:
    """Group problems by code, the gravest kinds first."""
    ranked = sorted(problems, key=lambda problem: (_SEVERITIES.index(problem.severity), problem.code))
    kinds = []
    for (severity, code), group in groupby(ranked, key=lambda problem: (problem.severity, problem.code)):
        alike = tuple(group)
        kinds.append(ProblemKind(code, severity, len(alike), alike[:MAX_PROBLEMS_PER_KIND]))
    return kinds


def choose_style(class_id: int) -> str:
    """Name the style of a class in page.css: eight colours, then the same ones dashed.

    >>> choose_style(1), choose_style(9)
    ('c0', 'c0 dashed')
    """
    colour, dashed = (class_id - 1) % _COLOURS, (class_id - 1) // _COLOURS % 2
    return f"c{colour}" + (" dashed" if dashed else "")


def _number_classes(report: Report) -> list[tuple[int, Any]]:
    # Colours go by name, as on the pictures; the list goes by frequency.
    numbers = {label: number for number, label in enumerate(sorted(row.label for row in report.classes), 1)}
    return [(numbers[row.label], row) for row in report.classes]


def _embed_pictures(pictures: Sequence[ShownPicture]) -> list[EmbeddedPicture]:
    embedder = Embedder()
    embedded = []
    for picture in pictures:
        path = Path(picture.path)
        size_bytes = picture.size_bytes or (path.stat().st_size if path.is_file() else 0)
        source, note = embedder.embed(picture.path, size_bytes)
        aspect = picture.width_px / picture.height_px
        embedded.append(EmbeddedPicture(picture, source, note, path.as_uri(), aspect))
    return embedded


def _render(content: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("dataset_page.html.j2").render(content)


def _read_part(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 (our own file)


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
