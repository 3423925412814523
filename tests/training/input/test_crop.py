"""Regions that cut no object."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.training.input.crop import draw_region


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 100_000), count=st.integers(0, 4))
def test_boxes_are_wholly_inside_or_wholly_outside(seed, count, make_probe):
    """At least one is inside, and the region is inside the picture and not tiny."""
    sample = make_probe(list(range(1, count + 1)), seed=seed)
    region = np.array(draw_region(sample, np.random.default_rng(seed)))
    boxes = sample.boxes_xyxy_px
    inside = ((boxes[:, :2] >= region[:2]) & (boxes[:, 2:] <= region[2:])).all(axis=1)
    outside = ((boxes[:, 2:] <= region[:2]) | (boxes[:, :2] >= region[2:])).any(axis=1)
    assert (inside | outside).all()
    assert inside.any() or not count
    content = np.array(sample.content)
    assert (region[:2] >= content[:2]).all()
    assert (region[2:] <= content[2:]).all()
    assert ((region[2:] - region[:2]) >= 0.3 * (content[2:] - content[:2]) - 1).all()


def test_regions_differ_and_leave_something_out(make_probe):
    """It's a crop: on average much less than the whole."""
    sample = make_probe([1, 2])
    areas = []
    for seed in range(50):
        x_min, y_min, x_max, y_max = draw_region(sample, np.random.default_rng(seed))
        areas.append((x_max - x_min) * (y_max - y_min) / (96 * 72))
    assert len(set(areas)) > 25
    assert np.mean(areas) < 0.85
