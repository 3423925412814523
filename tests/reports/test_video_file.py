"""Ranges and single frames of videos, also of containers that don't tell when frames are shown."""

import pytest

from detector.media.video.index import read_index
from detector.reports.video_file import read_moment, read_range

from .conftest import VIDEO_HW, write_video


def tell_square(frame):
    """Tell a frame's number by where its square is."""
    return int(frame.pixels[-4, :, 0].astype(int).argmax()) // 8


@pytest.fixture(params=[("libx264", 1000), ("mpeg4", 10)])
def avi(tmp_path, request):
    """Give an AVI of ten frames; the first one has no presentation times."""
    codec, ticks = request.param
    write_video(tmp_path / "square.avi", [n / 10 for n in range(10)], codec=codec, ticks=ticks)
    return tmp_path / "square.avi"


def test_range_is_the_frames_between(avi):
    """From the time of frame 4 to that of frame 7 there are the frames 4, 5 and 6."""
    with avi.open("rb") as file:
        index = read_index(file, max_pixels=10**6)
        start_s, end_s = index.times_s[4], index.times_s[7]
        frames = read_range(file, index, start_s, end_s, stream=None, canvas_hw=VIDEO_HW)
        assert [tell_square(frame) for frame in frames] == [4, 5, 6]


def test_moment_is_the_frame_of_that_time(avi):
    """Each frame is found again by its number and time; a time that no frame has gives none."""
    with avi.open("rb") as file:
        index = read_index(file, max_pixels=10**6)
        for number in (0, 3, 7):
            frame = read_moment(file, number, index.times_s[number], stream=None, canvas_hw=VIDEO_HW)
            assert tell_square(frame) == number
        assert read_moment(file, 3, index.times_s[3] + 0.05, stream=None, canvas_hw=VIDEO_HW) is None
