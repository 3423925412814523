"""Learning curves of several trials as one drawing: the metric by epoch, as SVG coordinates.

Owns the scales and ticks. Draws with fixed viewBox units; the page's style gives lines their colours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detector.evaluation.leaderboard import LeaderboardRow

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 12, 36
_MOST_TICKS = 8
_WIDE, _NARROW = 0.5, 0.2  # ranges of figures, for their ticks' steps


@dataclass(frozen=True)
class Tick:
    """A place on an axis: where it is, and its number."""

    place: float
    text: str


@dataclass(frozen=True)
class CurveLine:
    """One trial's curve: ``points`` as SVG's polyline takes them, ``best`` the place of its best epoch."""

    row: LeaderboardRow
    points: str
    best: tuple[float, float]


@dataclass(frozen=True)
class CurvePlot:
    """All curves with the ticks of both axes, in units of the viewBox."""

    lines: tuple[CurveLine, ...]
    epochs: tuple[Tick, ...]
    figures: tuple[Tick, ...]


def plot_curves(rows: Sequence[LeaderboardRow]) -> CurvePlot | None:
    """Lay out the curves of the trials that have any; None where none has.

    The figure's axis begins at 0 and ends at the next tenth above the best one.
    """
    curves = [row for row in rows if row.curve]
    if not curves:
        return None
    last = max(epoch for row in curves for epoch, _ in row.curve)
    top = min(1.0, max(0.1, math.ceil(10 * max(value for row in curves for _, value in row.curve)) / 10))
    return CurvePlot(
        tuple(_draw(row, last, top) for row in curves),
        tuple(Tick(_place_epoch(epoch, last), str(epoch)) for epoch in choose_epochs(last)),
        tuple(Tick(_place_figure(figure, top), f"{figure:g}") for figure in choose_figures(top)),
    )


def choose_epochs(last: int) -> list[int]:
    """Choose epochs to name on the axis: 0 and round steps up to the last one.

    >>> choose_epochs(4), choose_epochs(60)
    ([0, 1, 2, 3, 4], [0, 10, 20, 30, 40, 50, 60])
    """
    steps = (base * 10**power for power in range(9) for base in (1, 2, 5))
    step = next(step for step in steps if last / step <= _MOST_TICKS)
    return list(range(0, last + 1, step))


def choose_figures(top: float) -> list[float]:
    """Choose figures to name on the axis: 0 and round steps up to the highest.

    >>> choose_figures(0.9), choose_figures(0.1)
    ([0.0, 0.2, 0.4, 0.6, 0.8], [0.0, 0.05, 0.1])
    """
    step = 0.2 if top > _WIDE else 0.1 if top > _NARROW else 0.05
    return [round(number * step, 2) for number in range(int(top / step + 1e-6) + 1)]


def _draw(row: LeaderboardRow, last: int, top: float) -> CurveLine:
    places = [(_place_epoch(epoch, last), _place_figure(value, top)) for epoch, value in row.curve]
    best = min(range(len(places)), key=lambda number: places[number][1])
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return CurveLine(row, points, places[best])


def _place_epoch(epoch: float, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * epoch / last


def _place_figure(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top
