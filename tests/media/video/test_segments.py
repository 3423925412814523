"""Cutting: at keyframes, every frame in one segment, and what is expected of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.media.video.index import VideoIndex
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import cut_into_segments


def make_index(frames=100, *, rate=10, keys=range(0, 100, 10), **changes):
    """Make an index of a steady clip; pts count milliseconds."""
    pts = np.arange(frames) * (1000 // rate)
    facts = {
        "codec": "h264",
        "width_px": 64,
        "height_px": 48,
        "pts": pts,
        "times_s": pts / 1000,
        "is_keyframe": np.isin(np.arange(frames), list(keys)),
        "end_s": frames / rate,
        "has_pts": True,
        "announced_frames": None,
        "announced_end_s": None,
        "damage": None,
        "damaged_at_s": None,
    }
    return VideoIndex(**(facts | changes))


def cut(index, words="every_frame", *, segment_s=3.0, start_s=0.0, end_s=None):
    """Cut by the words of a sampling."""
    return cut_into_segments(
        index, segment_s=segment_s, start_s=start_s, end_s=end_s, sampling=parse_sampling(words)
    )


def test_cuts_lie_on_keyframes():
    """Keyframes each second, segments of at least 3 s; the rest of 1 s joins the last."""
    segments = cut(make_index())
    assert [(s.start_s, s.end_s) for s in segments] == [(0, 3), (3, 6), (6, 10)]
    assert [(s.first_frame, s.frames) for s in segments] == [(0, 30), (30, 30), (60, 40)]
    assert [(s.start_pts, s.end_pts) for s in segments] == [(0, 3000), (3000, 6000), (6000, None)]
    assert [(s.index, s.count) for s in segments] == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("change", [{"keys": [0]}, {"has_pts": False}])
def test_some_clips_stay_whole(change):
    """One keyframe alone, or times that nobody knows."""
    assert [s.frames for s in cut(make_index(**change))] == [100]


def test_a_range_begins_between_keyframes():
    """From 1.5 s to before 4.2 s; numbers and times stay those of the file."""
    (segment,) = cut(make_index(), start_s=1.5, end_s=4.2)
    assert (segment.first_frame, segment.frames, segment.start_pts, segment.end_pts) == (15, 27, 1500, 4200)
    assert (segment.start_s, segment.end_s) == (1.5, 4.2)


def test_frames_before_the_start_are_the_first_segment_s():
    """Leading frames at -0.2 and -0.1 s, unless a start is asked for."""
    index = make_index(times_s=np.arange(100) / 10 - 0.2)
    assert sum(segment.frames for segment in cut(index)) == 100
    assert cut(index, start_s=0.1, segment_s=60.0)[0].first_frame == 3


def test_a_range_behind_the_end_is_empty():
    """One segment without frames, of which none is expected."""
    (segment,) = cut(make_index(), start_s=60.0)
    assert (segment.frames, segment.frames_expected, segment.start_s, segment.end_s) == (0, 0, 60.0, 60.0)


@given(
    keys=st.sets(st.integers(1, 99)),
    segment_s=st.floats(0.05, 20),
    words=st.sampled_from(["every_frame", "every_n: 7", "fps: 1.3", "keyframes"]),
)
def test_every_frame_is_in_one_segment(keys, segment_s, words):
    """Segments follow each other, and expect together what the whole expects."""
    index = make_index(keys={0, *keys})
    segments, (whole,) = cut(index, words, segment_s=segment_s), cut(index, words, segment_s=1e9)
    places = [place for s in segments for place in range(s.first_frame, s.first_frame + s.frames)]
    assert places == list(range(100))
    assert sum(s.frames_expected for s in segments) == whole.frames_expected
    assert all(index.is_keyframe[s.first_frame] for s in segments)
    assert all(s.end_s - s.start_s >= segment_s - 1e-6 for s in segments[:-1])


def test_scenes_expect_no_number():
    """Only decoding tells."""
    assert cut(make_index(), "scenes")[0].frames_expected is None


BROKEN = {
    "damage": "the file breaks off",
    "damaged_at_s": 10.0,
    "announced_frames": 150,
    "announced_end_s": 15.0,
}


@pytest.mark.parametrize(
    ("words", "missing"), [("every_frame", 50), ("every_n: 20", 3), ("fps: 2", 10), ("keyframes", 0)]
)
def test_announced_frames_are_expected_of_the_last(words, missing):
    """100 of 150 frames are there: numbers 100 to 149 are missing, 100, 120, 140 of every 20th."""
    broken, whole = cut(make_index(**BROKEN), words), cut(make_index(), words)
    differences = [b.frames_expected - w.frames_expected for b, w in zip(broken, whole, strict=True)]
    assert differences == [0, 0, missing]


def test_damage_is_told_of_one_segment():
    """That in which it lies."""
    assert [s.damage for s in cut(make_index(**BROKEN))] == [None, None, "the file breaks off, at 10.000 s"]
    middle = cut(make_index(damage="a packet is corrupt", damaged_at_s=4.0))
    assert [s.damage for s in middle] == [None, "a packet is corrupt, at 4.000 s", None]
