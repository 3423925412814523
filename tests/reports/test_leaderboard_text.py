"""The leaderboard on a terminal: order, columns, errors."""

import io

import pytest
from rich.console import Console

from detector.evaluation.leaderboard import LeaderboardRow, rank_trials
from detector.reports.leaderboard_text import choose_cells, print_leaderboard


@pytest.fixture
def leaderboard():
    """Give three trials: a good one, a stopped one, and one with an error that would turn the terminal red."""
    rows = [
        LeaderboardRow(0, {"fit.epochs": "3"}, "failed", error="ValueError: \x1b[31mred"),
        LeaderboardRow(
            1, {"fit.epochs": "4"}, "done", 0.5, 0.25, 0.5, 0.2, minutes=1.5, epochs=4, size_bytes=2_100_000
        ),
        LeaderboardRow(2, {"fit.epochs": "5"}, "pruned", 0.9, curve=((1, 0.9),)),
    ]
    return rank_trials("ap50", rows, 7)


def show(leaderboard):
    """Print into a text."""
    console = Console(file=io.StringIO(), width=160, markup=False, highlight=False, emoji=False)
    print_leaderboard(leaderboard, console)
    return console.file.getvalue()


def test_best_first_then_stopped_then_failed(leaderboard):
    """A stopped trial has no rank, however good it was; the last line names the best."""
    lines = [line.split() for line in show(leaderboard).splitlines()]
    assert lines[1] == ["1", "1", "4", "0.500", "0.250", "0.200", "1.5", "4", "2.1", "done"]
    assert [line[:2] for line in lines[2:4]] == [["-", "2"], ["-", "0"]]
    assert " ".join(lines[-1]) == "3 of 7 trials: the best is trial 1, ap50 0.500 (fit.epochs 4)"


def test_columns_are_those_with_values(leaderboard):
    """The metric has its own column; what no trial knows has none."""
    assert choose_cells(leaderboard) == ["AP", "AP75", "minutes", "epochs", "MB"]


def test_errors_are_told_and_harmless(leaderboard):
    """The failed trial's words, without what a terminal would obey."""
    text = show(leaderboard)
    assert r"trial 0 failed: ValueError: \x1b[31mred" in text
    assert "\x1b" not in text
