"""Curves as coordinates of an SVG: what a page draws without a script.

Owns the geometry of a precision-recall plot. Draws nothing itself.
"""

from dataclasses import dataclass

from detector.evaluation.curves import BestThreshold, Curve


@dataclass(frozen=True)
class CurvePlot:
    """A plot in units of its own square, 0 to 100, y downwards.

    ``line`` and ``area`` are paths of an SVG; ``mark`` is (x, y) of the best threshold, None without one.
    """

    line: str
    area: str
    mark: tuple[float, float] | None


def plot_curve(curve: Curve, best: BestThreshold | None) -> CurvePlot:
    """Place recall from left to right and precision from bottom to top.

    From the first point on the line goes straight to the next; to its left precision stays as it is there.
    """
    points = [
        (100 * recall, 100 - 100 * precision)
        for recall, precision in zip(curve.recall.tolist(), curve.precision.tolist(), strict=True)
    ]
    if not points:
        return CurvePlot("", "", None)
    points = [(0.0, points[0][1]), *points]
    line = "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
    area = f"{line} L{points[-1][0]:.2f} 100 L0 100 Z"
    mark = None if best is None else (100 * best.recall, 100 - 100 * best.precision)
    return CurvePlot(line, area, mark)
