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
from detector.annotations.dataset_report import QUANTILES, Report
from detector.annotations.problems import Problem
from detector.reports.dataset_words import (
    describe_boxes,
    describe_counts,
    describe_value,
    describe_verdict,
    escape,
    quote_blanks,
)

SHOWN_PER_CODE = 5
SHOWN_CLASSES = 40
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
            Text(f"with {escape(label)}" if label else "all"),
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
        console.print(Text(f"lost: {escape(str(loss))}"))
    read = f"{result.pictures:,} pictures and {result.boxes:,} boxes read, written as {result.to}"
    console.print(Text(f"{result.out}: {read}"))
    return choose_exit_code(result.problems)


def show_frames(result: FramesResult, console: Console) -> int:
    """Print how many pictures came from each clip and which videos are damaged, and give the exit code."""
    for clip, count in result.frames.items():
        console.print(Text(f"{escape(clip)}: {count:,} pictures"))
    console.print(Text(f"{result.out}: {sum(result.frames.values()):,} pictures to annotate"))
    for failure in result.failures:
        console.print(Text(f"error: {escape(failure)}", style=_STYLES["error"]), soft_wrap=True)
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
            console.print(Text(f"  {escape(place)}: {escape(problem.message)}"), soft_wrap=True)
        if len(alike) > SHOWN_PER_CODE:
            console.print(f"  and {len(alike) - SHOWN_PER_CODE:,} more")
        for advice in sorted({problem.advice for problem in alike}):
            console.print(Text(f"  -> {escape(advice)}"), soft_wrap=True)


def _list_classes(report: Report) -> Table:
    table = Table("class", *(Column(name, justify="right") for name in ("boxes", "images")), box=None)
    for row in report.classes[:SHOWN_CLASSES]:
        table.add_row(Text(escape(quote_blanks(row.label))), f"{row.boxes:,}", f"{row.images:,}")
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
