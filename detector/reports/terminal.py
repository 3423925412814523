"""A terminal, or what takes its place: text with colours where people look, plain where programs read.

Owns the progress bar, on standard error and only there where that is a terminal. Refuses markup in what it
is given: names of files and classes are shown as they are.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_WIDTH = 160


def open_console() -> Console:
    """Give standard output, as wide as its terminal, or ``PLAIN_WIDTH`` columns of plain text."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


@contextmanager
def show_progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show bars while the context is open; it gives a function from a name to ``update(done, total)``."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True, markup=False, emoji=False)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bars:

        def watch(name: str) -> Callable[[int, int], None]:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield watch
