"""Curves as paths: recall to the right, precision upwards."""

import numpy as np

from detector.evaluation.curves import Curve
from detector.reports.plots import plot_curve


def test_points_are_where_they_belong():
    """Full precision is at the top, half of the recall in the middle; the area goes down to the axis."""
    plot = plot_curve(Curve(1, np.array([0.9, 0.8]), np.array([1.0, 0.5]), np.array([0.25, 0.5])), None)
    assert plot.line == "M0.00 0.00 L25.00 0.00 L50.00 50.00"
    assert plot.area == f"{plot.line} L50.00 100 L0 100 Z"
    assert plot.mark is None


def test_nothing_found_is_no_line():
    """A class that was never found."""
    empty = np.zeros(0)
    assert plot_curve(Curve(1, empty, empty, empty), None).line == ""
