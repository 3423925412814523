"""The trials of a search side by side, as data: what a page, a terminal and MLflow show.

Owns the record, its order and its JSON. Computes no figure, opens no files; imports neither a decoder nor
TensorFlow, so that ``reports`` may read it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

Status = Literal["done", "pruned", "failed", "running"]

_ORDER: tuple[Status, ...] = ("done", "pruned", "running", "failed")


@dataclass(frozen=True)
class LeaderboardRow:
    """One trial; what isn't known is None.

    ``settings`` are the values that it tried, by key, as they are shown. ``metric`` is the best figure on
    validation, 0 to 1, of ``best_epoch``, as are ``ap``, ``ap50``, ``ap75``; ``curve`` the metric by epoch.
    ``images_per_second`` is the speed of training. ``rank`` counts the trials that were done, from 1.
    """

    trial: int
    settings: Mapping[str, str]
    status: Status
    metric: float | None = None
    ap: float | None = None
    ap50: float | None = None
    ap75: float | None = None
    minutes: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    size_bytes: int | None = None
    images_per_second: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    error: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class Leaderboard:
    """All trials, the best first; ``metric`` names the figure, ``planned`` counts what the search has."""

    metric: str
    rows: tuple[LeaderboardRow, ...]
    planned: int

    @property
    def best(self) -> LeaderboardRow | None:
        """Give the best trial that was done; None where none was."""
        return self.rows[0] if self.rows and self.rows[0].rank == 1 else None

    @property
    def keys(self) -> tuple[str, ...]:
        """Name the settings that were tried, in the order of the search space."""
        return tuple(dict.fromkeys(key for row in self.rows for key in row.settings))

    def to_json(self, *, indent: int | None = None) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), indent=indent, allow_nan=False, ensure_ascii=False)


def rank_trials(metric: str, rows: Sequence[LeaderboardRow], planned: int) -> Leaderboard:
    """Put trials in order: done ones by their metric and ranked, then pruned, running and failed ones.

    Equal figures go by the trial's number.

    >>> done = [LeaderboardRow(0, {}, "done", 0.5), LeaderboardRow(2, {}, "done", 0.7)]
    >>> rows = [LeaderboardRow(1, {}, "failed"), *done]
    >>> [(row.trial, row.rank) for row in rank_trials("ap50", rows, 3).rows]
    [(2, 1), (0, 2), (1, None)]
    """
    ordered = sorted(rows, key=_place)
    ranked = [
        replace(row, rank=place if row.status == "done" else None) for place, row in enumerate(ordered, 1)
    ]
    return Leaderboard(metric, tuple(ranked), planned)


def _place(row: LeaderboardRow) -> tuple[int, float, int]:
    return _ORDER.index(row.status), -(row.metric if row.metric is not None else -1.0), row.trial
