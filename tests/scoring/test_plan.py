"""What is new work and what is not: the plan against rows of earlier runs."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from detector.scoring.plan import cut_into_tasks, make_plan
from detector.tables.schemas import SCORES

MONDAY = datetime(2026, 11, 16, 3, 0, 0, 123456, tzinfo=UTC)
LISTING = pa.schema(
    [
        ("media_uri", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_at", pa.timestamp("us", tz="UTC")),
        ("skip_reason", pa.string()),
    ]
)


def list_files(*rows):
    """Give a listing of (media_uri, size, time, skip_reason)."""
    return pa.table(list(zip(*rows, strict=True)), schema=LISTING)


@pytest.fixture(scope="module")
def plan_for(spark):
    """Give a planner for one file a.jpg of 10 bytes on Monday, against earlier rows (changes to a base)."""

    def plan(*earlier, listed=("a.jpg", 10, MONDAY, None), rescore=False, max_pixels=100):
        rows = []
        for changes in earlier:
            row = dict.fromkeys(SCORES.column_names) | {
                "score_id": "x",
                "media_uri": "a.jpg",
                "size_bytes": 10,
                "modified_at": MONDAY,
                "segment_index": 0,
                "attempt": 0,
                "status": "scored",
                "scorer_digest": "s",
                "run_id": "r",
                "scored_at": MONDAY,
                "scored_date": MONDAY.date(),
            }
            rows.append(tuple((row | changes)[name] for name in SCORES.column_names))
        scores = spark.createDataFrame(rows, SCORES.schema)
        return make_plan(
            spark, list_files(listed), scores, scorer_digest="s", rescore=rescore, max_pixels=max_pixels
        )

    return plan


FAILED = {"status": "failed"}


@pytest.mark.spark
@pytest.mark.parametrize(
    ("earlier", "attempt"),
    [
        ([], 0),
        ([{"scorer_digest": "another"}], 0),
        ([{"size_bytes": 11}], 0),
        ([{"modified_at": MONDAY.replace(microsecond=123457)}], 0),
        ([{"media_uri": "b.jpg"}], 0),
        ([FAILED | {"error_class": "UnreadableMedia"}], 1),
        ([FAILED | {"error_class": "MediaChanged"}, FAILED | {"attempt": 1, "error_class": "Prediction"}], 2),
        ([FAILED | {"error_class": "TooManyPixels", "width_px": 10, "height_px": 10}], 1),
        ([{"status": "skipped", "error_class": "excluded"}], 1),
    ],
)
def test_new_work(plan_for, earlier, attempt):
    """A version that this scorer has no row of, or whose last try may end otherwise this time."""
    plan = plan_for(*earlier)
    assert plan.units.column("attempt").to_pylist() == [attempt]
    assert plan.skipped_reasons == {}


@pytest.mark.spark
@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        ([{}], "already_scored"),
        ([FAILED | {"error_class": "UnreadableMedia"}, {"attempt": 1}], "already_scored"),
        ([FAILED | {"error_class": "DamagedImage"}], "already_failed"),
        ([FAILED | {"error_class": "TooManyPixels", "width_px": 11, "height_px": 10}], "already_failed"),
    ],
)
def test_no_work(plan_for, earlier, reason):
    """Scored already, or failed for a reason that lies in the same bytes."""
    plan = plan_for(*earlier)
    assert (plan.units.num_rows, plan.skipped_reasons) == (0, {reason: 1})


@pytest.mark.spark
def test_rescore_makes_a_new_attempt(plan_for):
    """Forced work gets a key of its own, so that the older row stays."""
    first, second = plan_for(), plan_for({}, rescore=True)
    assert second.units.column("attempt").to_pylist() == [1]
    assert first.units.column("score_id") != second.units.column("score_id")


@pytest.mark.spark
def test_two_planners_give_one_key(plan_for):
    """Two runs at once plan the same unit under the same key: the tables keep one."""
    assert plan_for().units == plan_for().units


@pytest.mark.spark
@pytest.mark.parametrize(
    ("reason", "earlier", "recorded"),
    [
        ("hidden", [], 1),
        ("hidden", [{"status": "skipped", "error_class": "hidden"}], 0),
        ("hidden", [{"status": "skipped", "error_class": "excluded"}], 1),
        ("too_young", [], 0),
    ],
)
def test_a_skipped_file_is_recorded_once(plan_for, reason, earlier, recorded):
    """One row for each reason, none for a file that only waits."""
    plan = plan_for(*earlier, listed=("a.jpg", 10, MONDAY, reason))
    assert (plan.recorded.num_rows, plan.units.num_rows, plan.skipped_reasons) == (recorded, 0, {reason: 1})


@pytest.mark.parametrize(
    ("units", "task_units", "slots", "sizes"),
    [
        (10, 4, 2, [3, 3, 2, 2]),
        (3, 64, 2, [2, 1]),
        (1, 64, 4, [1]),
        (128, 64, 2, [64, 64]),
        (5, 1, 2, [1] * 5),
    ],
)
def test_tasks_are_even_and_fill_the_slots(units, task_units, slots, sizes):
    """No task above its size, no two that differ by more than one, each unit in one task."""
    table = pa.table({"unit": list(range(units))})
    tasks = list(cut_into_tasks(table, task_units, slots))
    assert [task.num_rows for task in tasks] == sizes
    assert sorted(unit for task in tasks for unit in task.column("unit").to_pylist()) == list(range(units))
