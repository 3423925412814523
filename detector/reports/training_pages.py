"""The pages of a training run: how good the model is, and how a search came to it.

Owns the files' names. Knows measurements and leaderboards, nothing of training.
"""

from pathlib import Path

from rich.console import Console

from detector.evaluation.leaderboard import Leaderboard
from detector.measurement.measurement import Measurement
from detector.reports.evaluation_page import show_measurement
from detector.reports.leaderboard_page import write_leaderboard_page
from detector.reports.leaderboard_text import print_leaderboard

EVALUATION, LEADERBOARD = "evaluation.html", "leaderboard.html"


def show_training(
    measurement: Measurement, leaderboard: Leaderboard | None, console: Console, folder: Path
) -> list[Path]:
    """Print leaderboard and figures, write their pages into ``folder``, and list these."""
    pages = [folder / EVALUATION]
    if leaderboard is not None:
        print_leaderboard(leaderboard, console)
        pages.append(folder / LEADERBOARD)
        write_leaderboard_page(leaderboard, pages[-1])
    show_measurement(measurement, console, pages[0])
    return pages
