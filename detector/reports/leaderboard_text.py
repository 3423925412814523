"""A search's leaderboard on a terminal: the best trials first, with what they tried and how good they got.

Owns the order and the wording of the columns. Hides no trial that failed without saying why.
"""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from detector.evaluation.leaderboard import Leaderboard, LeaderboardRow

SHOWN_ROWS = 30
_NONE = "-"


def print_leaderboard(leaderboard: Leaderboard, console: Console) -> None:
    """Print the table, then each failed trial's error."""
    console.print(_build_table(leaderboard))
    if len(leaderboard.rows) > SHOWN_ROWS:
        console.print(f"and {len(leaderboard.rows) - SHOWN_ROWS:,} more")
    for row in leaderboard.rows:
        if row.error:
            console.print(Text(f"trial {row.trial} failed: {_escape(row.error)}"), soft_wrap=True)
    console.print(describe_outcome(leaderboard), soft_wrap=True)


def describe_outcome(leaderboard: Leaderboard) -> str:
    """Tell in a line which trial is the best, of how many.

    >>> describe_outcome(Leaderboard("ap50", (), 4))
    '0 of 4 trials: none came to an end'
    """
    counts = f"{len(leaderboard.rows)} of {leaderboard.planned} trials"
    best = leaderboard.best
    if best is None:
        return f"{counts}: none came to an end"
    tried = ", ".join(f"{key} {value}" for key, value in best.settings.items())
    figure = f"{leaderboard.metric} {show_figure(best.metric)}"
    return _escape(f"{counts}: the best is trial {best.trial}, {figure} ({tried})")


def show_figure(figure: float | None) -> str:
    """Show a figure between 0 and 1 with three digits, and what isn't known as a dash.

    >>> show_figure(0.8125), show_figure(None)
    ('0.812', '-')
    """
    return _NONE if figure is None else f"{figure:.3f}"


def choose_cells(leaderboard: Leaderboard) -> list[str]:
    """Name the columns of what trials got beside the metric, those that any trial has a value for."""
    others = (name for name in _CELLS if name.lower() != leaderboard.metric)
    return [name for name in others if any(_CELLS[name](row) != _NONE for row in leaderboard.rows)]


def show_cells(row: LeaderboardRow, names: Sequence[str]) -> list[str]:
    """Show what a trial got in the named columns.

    >>> show_cells(LeaderboardRow(0, {}, "done", ap=0.5, size_bytes=2_100_000), ["AP", "minutes", "MB"])
    ['0.500', '-', '2.1']
    """
    return [_CELLS[name](row) for name in names]


def _show(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


_CELLS: dict[str, Callable[[LeaderboardRow], str]] = {
    "AP": lambda row: show_figure(row.ap),
    "AP50": lambda row: show_figure(row.ap50),
    "AP75": lambda row: show_figure(row.ap75),
    "minutes": lambda row: _show(row.minutes, ".1f"),
    "epochs": lambda row: _show(row.epochs, "d"),
    "best epoch": lambda row: _show(row.best_epoch, "d"),
    "MB": lambda row: _show(None if row.size_bytes is None else row.size_bytes / 1e6, ".1f"),
    "images/s": lambda row: _show(row.images_per_second, ",.0f"),
}


def _build_table(leaderboard: Leaderboard) -> Table:
    chosen = choose_cells(leaderboard)
    columns = (*leaderboard.keys, leaderboard.metric, *chosen, "status")
    names = [Column("rank", justify="right"), Column("trial", justify="right")]
    table = Table(*names, *(Column(_escape(name), justify="right") for name in columns), box=None)
    for row in leaderboard.rows[:SHOWN_ROWS]:
        values = [row.settings.get(key, _NONE) for key in leaderboard.keys]
        cells = [
            str(row.rank or _NONE),
            str(row.trial),
            *values,
            show_figure(row.metric),
            *show_cells(row, chosen),
        ]
        table.add_row(*(Text(_escape(cell)) for cell in [*cells, row.status]))
    return table


def _escape(text: str) -> str:
    # A value may hold what a terminal would obey.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
