"""What is new work and what is not: the plan against rows of earlier runs."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import types as t

from detector.media.filesystem import EPOCH, build_access
from detector.scoring.mini_batch import compute_score_id
from detector.scoring.plan import Digests, make_plan
from detector.scoring.segmentation import Segmenter
from detector.settings import MediaSettings, VideoSettings
from detector.tables.schemas import SCORES

from .conftest import write_clip

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

    def plan(*earlier, listed=("a.jpg", 10, MONDAY, None), rescore=False, max_pixels=10_000):
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
        older = t.StructType([t.StructField(f.name, f.dataType) for f in SCORES.schema])  # may lack anything
        scores = spark.createDataFrame(rows, older)
        return make_plan(
            spark,
            list_files(listed),
            scores,
            digests=Digests("s", "v"),
            rescore=rescore,
            segmenter=Segmenter(
                build_access([]), MediaSettings(max_pixels=max_pixels, video=VideoSettings(segment_s=1)), None
            ),
            slots=2,
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
        ([FAILED], 1),  # nobody knows why
        ([FAILED | {"attempt": None, "error_class": "UnreadableMedia"}], 1),  # by a version that counted none
        ([FAILED | {"error_class": "MediaChanged"}, FAILED | {"attempt": 1, "error_class": "Prediction"}], 2),
        ([FAILED | {"error_class": "TooManyPixels", "width_px": 100, "height_px": 100}], 1),
        ([FAILED | {"error_class": "TooManyPixels", "width_px": 50, "height_px": 50}], 1),
        ([{"status": "skipped", "error_class": "excluded"}], 1),
    ],
)
def test_new_work(plan_for, earlier, attempt):
    """A version that this scorer has no row of, or whose last try may end otherwise this time."""
    plan = plan_for(*earlier)
    assert plan.units.column("attempt").to_pylist() == [attempt]
    assert (plan.recorded.num_rows, plan.skipped_reasons) == (0, {})


@pytest.mark.spark
@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        ([{}], "already_scored"),
        ([FAILED | {"error_class": "UnreadableMedia"}, {"attempt": 1}], "already_scored"),
        ([{"status": "skipped", "error_class": "excluded"}, {}], "already_scored"),
        ([{}, {"status": "skipped", "error_class": "excluded"}], "already_scored"),
        ([FAILED | {"error_class": "DamagedImage"}], "already_failed"),
        ([FAILED | {"error_class": "DamagedImage", "width_px": 50, "height_px": 50}], "already_failed"),
        ([FAILED | {"error_class": "TooMuchMemory", "width_px": 50, "height_px": 50}], "already_failed"),
        ([FAILED | {"error_class": "TooManyPixels", "width_px": 101, "height_px": 100}], "already_failed"),
        ([FAILED | {"error_class": "TooManyPixels"}], "already_failed"),
    ],
)
def test_no_work(plan_for, earlier, reason):
    """Scored already, beside a run that left it out, or failed for a reason that lies in the same bytes."""
    plan = plan_for(*earlier)
    assert (plan.units.num_rows, plan.recorded.num_rows, plan.skipped_reasons) == (0, 0, {reason: 1})


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
def test_what_one_run_leaves_out_takes_no_key_of_another(plan_for):
    """Two runs at once with other filters: the row of the one that scores finds its place in the table."""
    skipped = [plan_for(listed=("a.jpg", 10, MONDAY, reason)).recorded for reason in ("hidden", "excluded")]
    keys = [plan.column("score_id").to_pylist()[0] for plan in (plan_for().units, *skipped)]
    unit = {"media_uri": "a.jpg", "size_bytes": 10, "modified_at": MONDAY, "segment": None, "attempt": 0}
    reasons = ((), ("hidden",), ("excluded",))  # as the job without Spark has them
    assert keys == [compute_score_id(unit, "s", *reason) for reason in reasons]
    assert len(set(keys)) == len(keys)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("reason", "earlier", "recorded"),
    [
        ("hidden", [], 1),
        ("unreadable_folder", [], 1),
        ("hidden", [{"status": "skipped", "error_class": "hidden"}], 0),
        ("hidden", [{"status": "skipped", "error_class": "excluded"}], 1),
        ("too_young", [], 0),
    ],
)
def test_a_skipped_file_is_recorded_once(plan_for, reason, earlier, recorded):
    """One row for each reason, none for a file that only waits."""
    plan = plan_for(*earlier, listed=("a.jpg", 10, MONDAY, reason))
    assert (plan.recorded.num_rows, plan.units.num_rows, plan.skipped_reasons) == (recorded, 0, {reason: 1})


def segments_of(plan):
    """Give (segment_index, attempt) of the planned units, in order."""
    units = plan.units.select(["segment", "attempt"]).to_pylist()
    return sorted((unit["segment"]["index"], unit["attempt"]) for unit in units)


@pytest.fixture(scope="module")
def plan_video(plan_for, tmp_path_factory):
    """Give a planner for one clip that is cut into three segments, against earlier rows of it."""
    grey = np.full((64, 64, 3), 99, np.uint8)
    clip = write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", [grey] * 6, rate=2, gop=2)
    stat = clip.stat()
    at = EPOCH + timedelta(microseconds=stat.st_mtime_ns // 1000)
    same = {"media_uri": str(clip), "size_bytes": stat.st_size, "modified_at": at} | SEGMENT
    listed = (str(clip), stat.st_size, at, None)
    return lambda *earlier, **more: plan_for(*(same | row for row in earlier), listed=listed, **more)


SEGMENT = {"scorer_digest": "v", "segment_count": 3}


@pytest.mark.spark
@pytest.mark.parametrize(
    ("earlier", "planned"),
    [
        ([], [(0, 0), (1, 0), (2, 0)]),
        ([{"segment_index": 1}], [(0, 0), (2, 0)]),
        ([{"segment_index": 0}, {"segment_index": 1}, {"segment_index": 2}], []),
        (
            [{"segment_index": 0}, {"segment_index": 1} | FAILED | {"error_class": "MediaChanged"}],
            [(1, 1), (2, 1)],
        ),
        ([{"segment_index": 0}, {"segment_index": 1} | FAILED | {"error_class": "DamagedVideo"}], [(2, 0)]),
        ([{"segment_count": 1} | FAILED | {"error_class": "NoVideoStream"}], []),
        ([{"segment_count": 1} | FAILED | {"error_class": "UnreadableMedia"}], [(0, 1), (1, 1), (2, 1)]),
        ([{"scorer_digest": "s"}], [(0, 0), (1, 0), (2, 0)]),
        (
            [{"segment_index": index} for index in range(3)]
            + [{"segment_count": 1, "attempt": 1} | FAILED | {"error_class": "NoVideoStream"}],
            [],  # what was scored again is no video any more
        ),
    ],
)
def test_segments_that_are_missing(plan_video, earlier, planned):
    """Those without a row, or whose last try may end otherwise; the others stay."""
    plan = plan_video(*earlier)
    assert segments_of(plan) == planned
    assert sum(plan.skipped_reasons.values()) == (not planned)  # told, not found out by decoding


@pytest.mark.spark
def test_rescore_plans_every_segment(plan_video):
    """Under another attempt."""
    plan = plan_video({"segment_index": 0}, {"segment_index": 1}, rescore=True)
    assert segments_of(plan) == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.spark
def test_a_video_that_can_t_be_indexed_is_one_unit(plan_for):
    """A file that is gone: its row, with the reason, also where a segment was scored before."""
    gone = ("/nowhere/a.mp4", 10, MONDAY, None)
    before = SEGMENT | {"media_uri": "/nowhere/a.mp4", "segment_index": 0}
    for earlier, attempt in (([], 0), ([before], 1)):
        (unit,) = plan_for(*earlier, listed=gone).units.to_pylist()
        assert (unit["error_class"], unit["segment"], unit["attempt"]) == ("MediaNotFound", None, attempt)
