"""The report of a dataset's check as text: counts, boxes' measures, problems with what to do.

Owns the order and the wording on a terminal. Refuses to hide a kind of problem: of many alike, the first few
are shown and the rest is counted.
"""

from collections import Counter
from itertools import groupby

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from detector.annotations.command_results import (
    DONE,
    FAILED,
    ConvertResult,
    FramesResult,
    SplitResult,
    choose_exit_code,
)
from detector.annotations.dataset_report import QUANTILES, AnchorFit, Measure, Report
from detector.annotations.problems import Problem

SHOWN_PER_CODE = 5
SHOWN_CLASSES = 40
SHOWN_WHOLE_FROM_PX = 100
SHOWN_FROM_SHARE = 0.0005  # less is 0.0%
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_report(report: Report, console: Console) -> None:
    """Print the whole report of a check."""
    for line in describe_counts(report):
        console.print(line)
    if report.classes:
        console.print(_list_classes(report))
        console.print(_list_measures(report))
        for line in describe_boxes(report):
            console.print(line, soft_wrap=True)
    print_problems(report.problems, console)
    if len(report.problems) > SHOWN_PER_CODE:
        console.print("All problems, one by one: --out report.json, --page report.html")
    console.print(describe_verdict(report), style="bold red" if report.breaks_training else "bold green")


def show_split(result: SplitResult, console: Console) -> int:
    """Print how many images each split has, by class, and give the exit code."""
    table = Table("images", *(Column(name, justify="right") for name in result.splits), box=None)
    for label in ("", *sorted({label for row in result.rows for label in row.labels})):
        rows = [row for row in result.rows if not label or label in row.labels]
        counts = Counter(row.split for row in rows)
        table.add_row(
            Text(f"with {_escape(label)}" if label else "all"),
            *(f"{counts[name]:,}" for name in result.splits),
        )
    console.print(table)
    print_problems(result.problems, console)
    groups = len({row.group for row in result.rows})
    console.print(Text(f"{result.out}: {len(result.rows):,} images in {groups:,} independent groups"))
    return choose_exit_code(result.problems)


def show_conversion(result: ConvertResult, console: Console) -> int:
    """Print what was written and what was lost, and give the exit code."""
    print_problems(result.problems, console)
    for loss in result.losses:
        console.print(Text(f"lost: {_escape(str(loss))}"))
    read = f"{result.pictures:,} pictures and {result.boxes:,} boxes read, written as {result.to}"
    console.print(Text(f"{result.out}: {read}"))
    return choose_exit_code(result.problems)


def show_frames(result: FramesResult, console: Console) -> int:
    """Print how many pictures came from each clip and which videos are damaged, and give the exit code."""
    for clip, count in result.frames.items():
        console.print(Text(f"{_escape(clip)}: {count:,} pictures"))
    console.print(Text(f"{result.out}: {sum(result.frames.values()):,} pictures to annotate"))
    for failure in result.failures:
        console.print(Text(f"error: {_escape(failure)}", style=_STYLES["error"]), soft_wrap=True)
    return FAILED if result.failures else DONE


def print_problems(problems: tuple[Problem, ...], console: Console) -> None:
    """Print problems by kind, the gravest kind first; of each, ``SHOWN_PER_CODE`` files."""
    order = {severity: rank for rank, severity in enumerate(_STYLES)}
    ranked = sorted(problems, key=lambda problem: (order[problem.severity], problem.code))
    for (severity, code), group in groupby(ranked, key=lambda problem: (problem.severity, problem.code)):
        alike = list(group)
        console.print(Text(f"\n{severity} {code}: {len(alike):,}", style=_STYLES[severity]))
        for problem in alike[:SHOWN_PER_CODE]:
            place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
            console.print(Text(f"  {_escape(place)}: {_escape(problem.message)}"), soft_wrap=True)
        if len(alike) > SHOWN_PER_CODE:
            console.print(f"  and {len(alike) - SHOWN_PER_CODE:,} more")
        for advice in sorted({problem.advice for problem in alike}):
            console.print(Text(f"  -> {_escape(advice)}"), soft_wrap=True)


def describe_counts(report: Report) -> list[str]:
    """Tell how many images and boxes there are, in a line or two."""
    images = [
        f"{report.images:,} images: {report.annotated:,} annotated",
        f"{report.background:,} background",
    ]
    if report.unannotated:
        images.append(f"{report.unannotated:,} that nobody annotated (left out)")
    if report.left_out:
        images.append(f"{report.left_out:,} annotation files that can't be used (left out)")
    flags = [
        f"{count:,} {name}"
        for name, count in (
            ("difficult", report.difficult),
            ("truncated", report.truncated),
            ("occluded", report.occluded),
        )
        if count
    ]
    boxes = (
        f"{report.boxes:,} boxes of {len(report.classes):,} class{'' if len(report.classes) == 1 else 'es'}"
    )
    return [", ".join(images), ", ".join([boxes, *flags])]


def describe_boxes(report: Report) -> list[str]:
    """Tell how anchors meet the boxes, and where several boxes are around one object."""
    lines = []
    anchors, clusters = report.anchors, report.clusters
    if anchors.boxes:
        lines.append(_describe_anchors(anchors))
    if clusters.objects:
        lines.append(
            f"{clusters.objects:,} objects have several boxes of their class (IoU above "
            f"{clusters.min_iou}): {clusters.boxes:,} boxes in {clusters.images:,} images, the first of them "
            f"{_escape(clusters.first_image)}; each object counts once in an evaluation"
        )
    return lines


def _describe_anchors(anchors: AnchorFit) -> str:
    (least_px, most_px), (widest, longest) = anchors.sides_px, anchors.ratios
    common = (
        f"a common anchor (sides {least_px:.0f} to {most_px:.0f} px, aspect ratios {widest:g} to "
        f"{longest:g}) by IoU {anchors.min_iou}"
    )
    if anchors.unmatched_share < SHOWN_FROM_SHARE:
        some = "nearly every" if anchors.unmatched_share else "every"
        return f"At {anchors.canvas_px} px, {some} box overlaps {common}"
    return (
        f"At {anchors.canvas_px} px, {anchors.unmatched_share:.1%} of the boxes don't overlap {common}: "
        f"{anchors.too_small_share:.1%} are too small, {anchors.too_large_share:.1%} too large, "
        f"{anchors.too_long_share:.1%} too long"
    )


def describe_verdict(report: Report) -> str:
    """Tell in one line whether the data can be trained on.

    >>> from types import SimpleNamespace
    >>> counts = {"error": 1, "warning": 0, "note": 2}
    >>> describe_verdict(SimpleNamespace(count_severities=lambda: counts, breaks_training=True))
    '1 error, 0 warnings, 2 notes: mend the errors before training'
    """
    counts = [f"{n:,} {name}{'' if n == 1 else 's'}" for name, n in report.count_severities().items()]
    advice = "mend the errors before training" if report.breaks_training else "nothing would break training"
    return f"{', '.join(counts)}: {advice}"


def describe_value(measure: Measure, value: float) -> str:
    """Write a measure's value the way people read it: pixels, a ratio, or a part in percent.

    >>> [describe_value(Measure("", unit, ()), 0.4567) for unit in ("px", "of the picture", "width / height")]
    ['0.5', '45.7%', '0.46']
    """
    if measure.unit == "px":
        return f"{value:,.0f}" if value >= SHOWN_WHOLE_FROM_PX else f"{value:.1f}".removesuffix(".0")
    return f"{value:.1%}" if measure.unit == "of the picture" else f"{value:.2f}"


def _list_classes(report: Report) -> Table:
    table = Table("class", *(Column(name, justify="right") for name in ("boxes", "images")), box=None)
    for row in report.classes[:SHOWN_CLASSES]:
        table.add_row(Text(_escape(row.label)), f"{row.boxes:,}", f"{row.images:,}")
    if len(report.classes) > SHOWN_CLASSES:
        table.add_row(f"and {len(report.classes) - SHOWN_CLASSES:,} more")
    return table


def _list_measures(report: Report) -> Table:
    names = ["smallest", *(f"{share:.0%}" for share in QUANTILES[1:-1]), "largest"]
    table = Table("boxes", *(Column(name, justify="right") for name in names), box=None)
    for measure in report.measures:
        name = f"{measure.name.replace('_', ' ')} ({measure.unit})"
        table.add_row(name, *(describe_value(measure, value) for value in measure.values))
    return table


def _escape(text: str) -> str:
    # A name may hold what a terminal would obey.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
