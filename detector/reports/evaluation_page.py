"""One self-contained HTML page of an evaluation: figures, classes, curves, confusion, the worst pictures.

Owns the page's content and the template and style beside it; the rest of its looks are those of the page of
detections. The page asks the network for nothing and runs no script. Refuses to decode pictures: the
browser shows the files' own bytes, upright by their EXIF orientation.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from rich.console import Console

from detector.evaluation.report import ClassReport, EvaluationReport
from detector.measurement.measurement import MeasuredPicture, Measurement
from detector.reports.confusion_table import shrink_confusion
from detector.reports.evaluation_text import (
    describe_subject,
    list_confusions,
    list_figures,
    print_measurement,
    rank_classes,
    show_figure,
)
from detector.reports.pictures import Embedder
from detector.reports.plots import CurvePlot, plot_curve

MAX_CURVES = 24
MAX_ROWS = 30  # of classes that are not folded away
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ShownClass:
    """A class's row and its curve; ``threshold`` is the score that its counts were taken at."""

    row: ClassReport
    plot: CurvePlot
    threshold: float | None


@dataclass(frozen=True)
class Mark:
    """One box on a picture: ``kind`` is right, wrong, missed, aside or found; edges in fractions of it."""

    kind: str
    caption: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Give the part of the picture that it covers: larger ones are drawn first."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class ShownPicture:
    """A picture with its bytes as a data URI, or a note why there are none."""

    picture: MeasuredPicture
    source: Markup | None
    note: str
    link: str
    marks: list[Mark]


def show_measurement(measurement: Measurement, console: Console, page: Path | None) -> None:
    """Print an evaluation and write its page where one is wanted."""
    print_measurement(measurement, console)
    if page is not None:
        write_evaluation_page(measurement, page)


def write_evaluation_page(measurement: Measurement, out: Path, *, title: str | None = None) -> None:
    """Write the page of an evaluation; the folder of ``out`` is made."""
    report = measurement.report
    style = Markup("").join(
        _read_part(name) for name in ("page.css", "dataset_page.css", "evaluation_page.css")
    )
    classes = [_show_class(report, row) for row in rank_classes(measurement)]
    content = {
        "title": title or f"How good is {measurement.subject.model_name}",
        "measurement": measurement,
        "report": report,
        "lines": describe_subject(measurement),
        "figures": list_figures(measurement),
        "counts": _sum_counts(report),
        "chosen_here": _chosen_here(report),
        "classes": classes,
        "curves": [shown for shown in classes if shown.plot.line][:MAX_CURVES],
        "confusion": shrink_confusion(report.confusion, measurement.name_class),
        "confusions": list_confusions(measurement),
        "pictures": list(_embed_pictures(measurement)),
        "show": show_figure,
        "most_rows": MAX_ROWS,
        "style": style,
        "style_digest": _digest(style),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_render(content), encoding="utf-8")


def list_marks(picture: MeasuredPicture, measurement: Measurement) -> list[Mark]:
    """List the boxes of a picture, the largest first: its detections by verdict, its objects missed or found.

    An object that was found is ``found``, one that counts neither way and its detection are ``aside``.
    """
    boxes = picture.boxes
    sides = (picture.width_px, picture.height_px) * 2
    marks = []
    for edges, score, class_id, right, wrong in zip(
        boxes.boxes_xyxy_px, boxes.scores, boxes.class_ids, boxes.right, boxes.wrong, strict=True
    ):
        kind = "right" if right else "wrong" if wrong else "aside"
        caption = f"{measurement.name_class(int(class_id))} {show_figure(float(score))}"
        marks.append(Mark(kind, caption, *_clip(edges / sides)))
    for edges, class_id, missed in zip(
        boxes.truth_boxes_xyxy_px, boxes.truth_class_ids, boxes.missed, strict=True
    ):
        name = measurement.name_class(int(class_id))
        marks.append(Mark("missed" if missed else "found", name, *_clip(edges / sides)))
    return sorted(marks, key=lambda mark: -mark.area)


def _show_class(report: EvaluationReport, row: ClassReport) -> ShownClass:
    plot = plot_curve(row.curve, row.threshold) if row.objects else CurvePlot("", "", None)
    return ShownClass(row, plot, report.score_thresholds.get(row.class_id))


def _sum_counts(report: EvaluationReport) -> dict[str, int]:
    names = ("right", "wrong", "missed")
    return {name: sum(getattr(row.counts, name) for row in report.classes) for name in names}


def _chosen_here(report: EvaluationReport) -> bool:
    """Tell whether the counts are at the thresholds that were best on these very pictures."""
    best = [row for row in report.classes if row.threshold is not None]
    return all(
        row.threshold is not None and report.score_thresholds[row.class_id] == row.threshold.threshold
        for row in best
    )


def _embed_pictures(measurement: Measurement) -> Iterator[ShownPicture]:
    embedder = Embedder()
    for picture in measurement.pictures:
        path = picture.path.absolute()
        source, note = embedder.embed(str(path), path.stat().st_size if path.is_file() else 0)
        yield ShownPicture(picture, source, note, path.as_uri(), list_marks(picture, measurement))


def _clip(edges: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (min(1.0, max(0.0, float(edge))) for edge in edges)
    return left, top, right, bottom


def _render(content: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("evaluation_page.html.j2").render(content)


def _read_part(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 (our own file)


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
