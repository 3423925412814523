"""Costs and the cut into tasks: even, every unit once, a long video not alone at the end."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from detector.scoring.balance import cut_into_tasks, estimate_costs, order_units
from detector.scoring.units import UNIT

SEGMENT = {"index": 0, "count": 2, "start_s": 60.0, "end_s": 120.0, "first_frame": 0, "frames": 1800,
           "start_pts": 0, "end_pts": None, "frames_expected": 60}  # fmt: skip


def make_units(*changes):
    """Give units: images, each changed."""
    image = dict.fromkeys(UNIT.names) | {"media_kind": "image", "size_bytes": 1, "media_uri": "a"}
    return pa.Table.from_pylist([image | change for change in changes], to_arrow_schema(UNIT))


def test_costs_in_pictures():
    """An image 1; sixty of 1,800 frames 60 and a tenth for each decoded; scenes by share; a refused one little."""
    video = {"media_kind": "video"}
    units = make_units(
        {}, video | {"segment": SEGMENT}, video | {"segment": SEGMENT | {"frames_expected": None}}, video
    )
    costs = estimate_costs(units)
    assert costs.pictures.tolist() == pytest.approx([1, 60 + 180, 90 + 180, 0.1])
    assert costs.video_s.tolist() == [0, 60, 60, 0]


def test_the_dearest_come_first_and_ties_have_an_order():
    """A video, then images by size, then by name."""
    video = {"media_kind": "video", "segment": SEGMENT, "media_uri": "v"}
    named = [{"media_uri": "b"}, {"media_uri": "c", "size_bytes": 9}, video, {"media_uri": "a"}]
    assert order_units(make_units(*named)).column("media_uri").to_pylist() == ["v", "c", "a", "b"]


@pytest.mark.parametrize(
    ("costs", "task_cost", "slots", "sizes"),
    [
        ([1] * 10, 4, 2, [3, 3, 2, 2]),
        ([1] * 3, 64, 2, [2, 1]),
        ([1], 64, 4, [1]),
        ([1] * 128, 64, 2, [64, 64]),
        ([1] * 5, 1, 2, [1] * 5),
        ([100, *[1] * 100], 100, 2, [1, 100]),
        ([50, 50, 50, 1, 1], 200, 2, [2, 3]),
    ],
)
def test_tasks_are_even_and_fill_the_slots(costs, task_cost, slots, sizes):
    """Equal loads, each unit in one task, a task for every slot."""
    table = pa.table({"unit": list(range(len(costs)))})
    tasks = cut_into_tasks(table, np.array(costs, float), task_cost, slots)
    assert sorted(task.num_rows for task in tasks) == sorted(sizes)
    assert sorted(unit for task in tasks for unit in task.column("unit").to_pylist()) == list(
        range(len(costs))
    )
