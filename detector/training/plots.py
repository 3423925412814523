"""Plots of a training run, as Matplotlib figures.

Owns what is drawn. Opens no window: nothing here needs a display.
"""

from collections.abc import Sequence
from typing import Any

_FIGURES = ("ap", "ap50", "ap75")


def draw_curves(history: Sequence[dict[str, float]]) -> Any:  # noqa: ANN401 (a Matplotlib figure)
    """Draw the losses and, below, the average precisions by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    losses, precisions = figure.subplots(2, 1, sharex=True)
    names = sorted({name for row in history for name in row if "loss" in name})
    for axis, shown in ((losses, names), (precisions, _FIGURES)):
        for name in shown:
            rows = [row for row in history if name in row]
            axis.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=name)
        axis.grid(alpha=0.3)
        if any(axis.get_lines()):
            axis.legend(fontsize="small")
    losses.set_yscale("log")
    losses.set_ylabel("loss")
    precisions.set_ylabel("average precision on val")
    precisions.set_ylim(0, 1)
    precisions.set_xlabel("epoch")
    return figure
