"""The tally: a video counts once, when all its planned segments are there."""

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from detector.scoring.tally import Counts, open_tally
from detector.scoring.units import UNIT


@pytest.fixture
def units():
    """Give two images and three segments of one video."""
    empty = dict.fromkeys(UNIT.names)
    rows = [empty | {"media_uri": uri} for uri in ("a", "b")]
    rows += [empty | {"media_uri": "v", "segment": {"index": n, "count": 5}} for n in range(3)]
    return pa.Table.from_pylist(rows, to_arrow_schema(UNIT))


def test_a_video_counts_when_it_is_whole(units):
    """Two of three segments: not yet; the third: once, failed because one of them failed."""
    tally = open_tally(units)
    tally.add([Counts(None, "scored", 2, 5, 2), Counts("v", "scored", 2, 7, 20)])
    assert (tally.tried, tally.detections, tally.frames) == (2, 12, 22)
    tally.add([Counts("v", "failed", 1, 0, 0)])
    assert tally.media == {"scored": 2, "failed": 1}


def test_what_another_run_did_is_not_ours(units):
    """An image and two segments elsewhere: the video is still ours by its third segment."""
    tally = open_tally(units)
    tally.add_elsewhere(units.slice(1, 3))
    assert (tally.elsewhere, tally.tried) == (1, 0)
    tally.add([Counts("v", "scored", 1, 0, 9)])
    assert (tally.elsewhere, tally.tried) == (1, 1)


def test_a_video_wholly_elsewhere_is_one_medium(units):
    """All three segments done by another run."""
    tally = open_tally(units)
    tally.add_elsewhere(units.slice(2))
    assert (tally.elsewhere, tally.tried) == (1, 0)
