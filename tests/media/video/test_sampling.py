"""The words of a sampling, and the frames they choose."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.media.video.sampling import Sampling, choose_frames, parse_sampling

RISING = st.lists(st.integers(1, 3000), min_size=1, max_size=40).map(lambda steps: np.cumsum(steps) / 1000)


def choose(times_s, words, *, first_frame=0, end_s=None, keys=()):
    """Choose among frames at ``times_s``; give their places."""
    times_s = np.asarray(times_s, float)
    is_key = np.isin(np.arange(len(times_s)), keys)
    end_s = times_s[-1] + 0.1 if end_s is None else end_s
    mask = choose_frames(
        times_s, is_key, first_frame=first_frame, end_s=end_s, sampling=parse_sampling(words)
    )
    return np.flatnonzero(mask).tolist()


@pytest.mark.parametrize(
    ("given_words", "canonical"),
    [
        ("every_frame", "every_frame"),
        (" keyframes ", "keyframes"),
        ("scenes", "scenes"),
        ("fps:2", "fps: 2.0"),
        ({"fps": 0.5}, "fps: 0.5"),
        ("every_n: 10", "every_n: 10"),
        ({"every_n": 3}, "every_n: 3"),
    ],
)
def test_words_have_one_form(given_words, canonical):
    """However it's written, a sampling is told one way, and that way means the same."""
    sampling = parse_sampling(given_words)
    assert sampling.describe() == canonical
    assert parse_sampling(canonical) == sampling


@pytest.mark.parametrize(
    "words",
    ["", "often", "fps", "fps:", "fps: two", "fps: nan", "fps: inf", "fps: 0", "fps: -1", "every_n: 2.5",
     "every_n: 0", "keyframes: 2", {"fps": 1, "every_n": 2}, {}],
)  # fmt: skip
def test_other_words_are_refused(words):
    """Each with a message that quotes them."""
    with pytest.raises(ValueError, match=r"sampling|number|above 0"):
        parse_sampling(words)


def test_each_instant_takes_the_frame_shown():
    """At 1 fps over frames at 0, 0.4, 1.5 and 4.2: the one shown at 2 and at 3 counts once."""
    assert choose([0, 0.4, 1.5, 4.2], "fps: 1", end_s=5.5) == [0, 1, 2, 3]
    assert choose([0, 0.4, 0.8, 4.2], "fps: 1", end_s=4.9) == [0, 2]


def test_a_frame_on_the_instant_is_shown_at_it():
    """Thirds of a second are no exact floats."""
    assert choose([n / 30 for n in range(90)], "fps: 3", end_s=3.0) == list(range(0, 90, 10))


def test_a_late_first_frame_is_shown_at_the_beginning():
    """A stream that begins at 0.3 s: its first frame stands for instant 0."""
    assert choose([0.3, 0.5, 1.1], "fps: 1", end_s=1.3) == [0, 1]


@given(times_s=RISING, fps=st.floats(0.1, 40), last_s=st.floats(0.001, 3))
def test_fps_is_what_walking_all_instants_gives(times_s, fps, last_s):
    """The oracle looks at each instant alone."""
    end_s = float(times_s[-1] + last_s)
    wanted = {0}
    for k in range(math.ceil(end_s * fps - 1e-6)):
        wanted.add(max([n for n, t in enumerate(times_s) if t * fps <= k + 1e-6] or [0]))
    assert choose(times_s, f"fps: {fps!r}", end_s=end_s) == sorted(wanted)


@given(times_s=RISING, cut=st.integers(0, 40), words=st.sampled_from(["fps: 0.7", "fps: 25", "every_n: 3"]))
def test_a_part_chooses_as_the_whole(times_s, cut, words):
    """Cut anywhere: the two parts' frames are the whole's."""
    cut = min(cut, len(times_s) - 1)
    whole = choose(times_s, words)
    after = choose(times_s[cut:], words, first_frame=cut)
    before = choose(times_s[:cut], words, end_s=times_s[cut]) if cut else []
    assert before + [cut + place for place in after] == whole


def test_counting_and_keyframes():
    """every_n counts from the file's first frame, keyframes are the index's."""
    assert choose(range(7), "every_n: 3", first_frame=5) == [1, 4]
    assert choose(range(7), "keyframes", keys=[0, 4]) == [0, 4]
    assert choose(range(3), "every_frame") == choose(range(3), "scenes") == [0, 1, 2]


def test_a_value_is_needed():
    """Built by hand without one."""
    with pytest.raises(ValueError, match="fps needs a value"):
        choose_frames(np.zeros(1), np.zeros(1, bool), first_frame=0, end_s=1, sampling=Sampling("fps"))
