"""What each command of jobs/dataset.py has done, for whoever tells it to a person.

Owns the exit codes. Opens no files, so that what shows results can import it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.annotations.dataset_report import Report
from detector.annotations.problems import Problem
from detector.annotations.split_manifest import SplitRow
from detector.annotations.writing import Loss

DONE, FAILED, BROKEN = 0, 1, 2


@dataclass(frozen=True)
class CheckResult:
    """A report, and the page to write it to, if any."""

    report: Report
    page: Path | None


@dataclass(frozen=True)
class SplitResult:
    """The splits' names, the rows that were written to ``out``, and what is wrong with files and classes."""

    splits: tuple[str, ...]
    rows: tuple[SplitRow, ...]
    out: Path
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class ConvertResult:
    """How many pictures and boxes were read, what the format lost, and which files could not be read."""

    to: str
    out: Path
    pictures: int
    boxes: int
    losses: tuple[Loss, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class FramesResult:
    """How many pictures were taken out of each clip, and which videos could not be read to their end."""

    out: Path
    frames: dict[str, int]
    failures: tuple[str, ...] = ()


def choose_exit_code(problems: Iterable[Problem]) -> int:
    """Give ``BROKEN`` where any problem is an error, else ``DONE``.

    >>> choose_exit_code([])
    0
    """
    return BROKEN if any(problem.severity == "error" for problem in problems) else DONE
