"""Annotated clips: which frames at which times with which boxes, and what is refused."""

import datetime as dt
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import InstallationError, SettingsError
from detector.media.video.index import read_index
from detector.reports import h264
from detector.reports.clip import ClipSettings, choose_canvas_hw, write_clip
from detector.reports.query import open_tables
from detector.reports.scored_video import FoundBox, ScoredFrame, Timeline

from .conftest import NOW, TIMES_S, make_box, make_score, make_video_score, write_tables, write_video

BLUE, ORANGE = (0, 114, 178), (230, 159, 0)
NAME = "square.mp4"


def cut(tables, out, **settings):
    """Write a clip of the tables' video."""
    return write_clip(open_tables(str(tables)), ClipSettings(video=NAME, **settings), out)


def read_clip(path):
    """Read a clip back: times and durations in milliseconds, pixels."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        container.seek(0)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        to_ms = float(stream.time_base * 1000)
    times = [round(packet.pts * to_ms) for packet in packets]
    return times, [round(packet.duration * to_ms) for packet in packets], frames


def is_near(pixel, colour):
    """Tell whether a decoded pixel has the colour, within what compression changes."""
    return np.abs(pixel.astype(int) - colour).max() < 60


def test_frames_keep_their_own_times(video_tables, tmp_path):
    """A video of variable frame rate has the same times in the clip, and the gap lasts as long."""
    clip = cut(video_tables, tmp_path / "clip.mp4")
    times, durations, frames = read_clip(tmp_path / "clip.mp4")
    assert times == [round(1000 * time_s) for time_s in TIMES_S]
    assert durations[:-1] == [after - before for before, after in pairwise(times)]
    assert len(frames) == clip.frames == 10
    assert clip.scored_frames == 3


def test_clip_begins_with_the_frame_shown_at_its_start(video_tables, tmp_path):
    """Inside the gap, the frame before it is shown first; the last one is shown until the end."""
    clip = cut(video_tables, tmp_path / "clip.mp4", start_s=1.9, end_s=3.05)
    times, durations, frames = read_clip(tmp_path / "clip.mp4")
    assert (times, durations) == ([0, 1000, 1100], [1000, 100, 50])
    assert (clip.start_s, clip.end_s) == (1.9, 3.05)
    squares = [int(frame[-15, :, 0].argmax()) // 30 for frame in frames]  # 8 of 128 px are 30 of 480
    assert squares == [5, 6, 7]


def test_boxes_stay_until_the_next_scored_frame(video_tables, tmp_path):
    """The first box is there until frame 3, that has none; the second from frame 6 on, in its own colour."""
    cut(video_tables, tmp_path / "clip.mp4")
    *_, frames = read_clip(tmp_path / "clip.mp4")
    assert [is_near(frame[200, 121], BLUE) for frame in frames] == [True] * 3 + [False] * 7
    assert [is_near(frame[200, 241], ORANGE) for frame in frames] == [False] * 6 + [True] * 4


def test_boxes_are_held_no_longer_than_asked(video_tables, tmp_path):
    """After hold_s a box goes; weak boxes aren't drawn at all."""
    cut(video_tables, tmp_path / "held.mp4", hold_s=0.1)
    *_, frames = read_clip(tmp_path / "held.mp4")
    assert [is_near(frame[200, 121], BLUE) for frame in frames] == [True] * 2 + [False] * 8
    cut(video_tables, tmp_path / "strong.mp4", min_score=0.95)
    assert not any(is_near(frame[200, 121], BLUE) for frame in read_clip(tmp_path / "strong.mp4")[2])


@given(
    times=st.lists(st.integers(0, 100), unique=True, max_size=8).map(sorted),
    now=st.integers(0, 120),
    hold=st.integers(0, 30),
)
def test_timeline_shows_the_last_scored_frame(times, now, hold):
    """The boxes are those of the greatest time that is not after now and not longer ago than the hold."""
    frames = [ScoredFrame(t / 10, (FoundBox(1, str(t), 1.0, 0, 0, 1, 1),)) for t in times]
    shown = Timeline(frames, hold / 10).find_boxes(now / 10)
    before = [t for t in times if t <= now]
    expected = [str(before[-1])] if before and now - before[-1] <= hold else []
    assert [box.label for box in shown] == expected


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), most=st.integers(64, 2000))
def test_clip_sizes_are_even_and_within_the_limit(height, width, most):
    """Both sides are even, at most the limit, and of the video's shape within the rounding."""
    sides = choose_canvas_hw(height, width, most)
    assert all(side % 2 == 0 and 2 <= side <= most for side in sides)
    scale = max(sides) / max(height, width)
    assert abs(sides[0] - height * scale) <= 3
    assert abs(sides[1] - width * scale) <= 3


def test_odd_sizes_are_made_even(video, tmp_path):
    """A limit of 65 pixels gives 64, and the other side is even too."""
    write_video(video, hw=(42, 78))
    tables = write_tables(tmp_path / "lake", make_video_score("one", video, {0: []}))
    cut(tables, tmp_path / "clip.mp4", max_side_px=65)
    assert read_clip(tmp_path / "clip.mp4")[2][0].shape == (34, 64, 3)


def test_of_two_models_the_newest_or_the_named_is_drawn(video, tmp_path):
    """clip.model chooses; a model that has not scored the video is refused with those that have."""
    left, right = make_box((0.25, 0.25, 0.75, 0.5)), make_box((0.25, 0.5, 0.75, 0.75))
    old = make_video_score("old", video, {0: [left]}, model_name="a", scored_at=NOW)
    new = make_video_score("new", video, {0: [right]}, model_name="b", scored_at=NOW + dt.timedelta(days=1))
    tables = write_tables(tmp_path / "lake", old, new)
    for model, column in ((None, 241), ("a", 121)):
        cut(tables, tmp_path / "clip.mp4", end_s=0.1, model=model)
        assert is_near(read_clip(tmp_path / "clip.mp4")[2][0][200, column], BLUE)
    with pytest.raises(SettingsError, match=r"clip\.model c has not scored square\.mp4: b, a has"):
        cut(tables, tmp_path / "clip.mp4", model="c")


def test_replaced_video_is_refused(video_tables, video, tmp_path):
    """A file of another time or size than the row's is not the one that was scored; no clip is left."""
    os.utime(video, (1, 1))
    with pytest.raises(SettingsError, match=r"changed.*run jobs/score\.py again"):
        cut(video_tables, tmp_path / "out" / "clip.mp4")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"video": "other.mp4"}, r"other\.mp4 has not been scored: score it with jobs/score\.py"),
        ({"video": "photo.jpg"}, "is an image: the page"),
        ({"video": "broken.mp4"}, r"could not be scored: NotAVideo: no video"),
        ({"video": "twice.mp4"}, r"is the end of 2 files: give one of /a/twice\.mp4, /b/twice\.mp4"),
        ({"start_s": 8}, r"clip\.start_s is 8: the video is 3\.\d\d s long"),
        ({"start_s": 2.95}, r"nothing of 2\.9 to .* was scored, but 0 to 2 s"),
    ],
)
def test_what_cannot_be_shown_is_refused(video, tmp_path, settings, words):
    """Each refusal says what is wrong and what to do."""
    other = {"segment_end_s": 2.0}
    rows = [
        make_video_score("video", video, {0: []}, **other),
        make_score("photo", video.with_name("photo.jpg")),
        make_video_score(
            "broken",
            video.with_name("broken.mp4"),
            {},
            status="failed",
            error_class="NotAVideo",
            error_message="no video",
        ),
        *(make_video_score(f, video.parent.joinpath("/", f, "twice.mp4"), {0: []}) for f in "ab"),
    ]
    tables = write_tables(tmp_path / "lake", *rows)
    with pytest.raises(SettingsError, match=words):
        write_clip(
            open_tables(str(tables)), ClipSettings(**{"video": NAME, **settings}), tmp_path / "clip.mp4"
        )


def test_rows_of_another_stream_are_refused(video, tmp_path):
    """Frames at times that the file doesn't have are of another stream."""
    score = make_video_score("one", video, {0: []})
    score["frames"][0]["time_s"] = 0.05
    tables = write_tables(tmp_path / "lake", score)
    with pytest.raises(SettingsError, match=r"a frame at 0\.050 s, the file has none"):
        cut(tables, tmp_path / "clip.mp4")


def test_missing_encoder_is_named(video_tables, tmp_path, monkeypatch):
    """Without an H.264 encoder the message names those that were looked for; nothing is left behind."""
    monkeypatch.setattr(h264, "ENCODERS", {"libnone264": {}})
    with pytest.raises(InstallationError, match=r"no H\.264 encoder \(libnone264\)"):
        cut(video_tables, tmp_path / "out" / "clip.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_clip_never_replaces_the_video(video_tables, video):
    """An out that is the video itself is refused before anything is written."""
    before = video.read_bytes()
    with pytest.raises(SettingsError, match="is the video itself"):
        cut(video_tables, video)
    assert video.read_bytes() == before


def test_damage_is_told_and_the_rest_is_shown(video, tmp_path):
    """Of a file that breaks off, the clip has what is there and its line says so."""
    whole = video.with_suffix(".mkv")
    write_video(whole, [n / 10 for n in range(40)], hw=(240, 320))
    video.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    tables = write_tables(tmp_path / "lake", make_video_score("one", video, {0: []}))
    clip = cut(tables, tmp_path / "clip.mp4")
    assert 0 < clip.frames < 40
    assert "damaged there" in clip.describe()


def test_stream_of_the_run_is_read(tmp_path, video):
    """media.video.stream of the run that scored the video is asked for again."""
    settings = json.dumps({"media": {"video": {"stream": 3}}})
    tables = write_tables(
        tmp_path / "lake",
        make_video_score("one", video, {0: []}),
        runs=[{"run_id": "one", "settings": settings}],
    )
    with pytest.raises(SettingsError, match=r"media\.video\.stream is 3"):
        cut(tables, tmp_path / "clip.mp4")


def test_job_writes_the_clip(video_tables, tmp_path):
    """The command that a user guesses writes the clip and says what it shows; a page's name is refused."""
    job = [sys.executable, Path(__file__).resolve().parents[2] / "jobs" / "report.py"]
    flags = ["--tables.root", video_tables, "--clip.video", NAME, "--clip.end_s", "0.25"]
    out = tmp_path / "new" / "clip.mp4"
    done = subprocess.run([*job, *flags, "--out", out], capture_output=True, text=True, check=False)
    assert (done.returncode, out.is_file()) == (0, True), done.stderr
    assert "square.mp4 from 0.00 to 0.25 s: 3 frames, 1 of them scored" in done.stdout
    refused = subprocess.run(
        [*job, *flags, "--out", "page.html"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "ends in .mp4" in refused.stderr


def cut_real(data_pack, tmp_path, name):
    """Write a clip of a whole real video, its first frame scored; give it and the video's index."""
    path = data_pack / "videos" / name
    with path.open("rb") as file:
        index = read_index(file, max_pixels=10**8)
    score = make_video_score("one", path, {0: []}, segment_end_s=index.end_s)
    score["frames"][0]["time_s"] = index.times_s[0]
    tables = write_tables(tmp_path / name / "lake", score)
    write_clip(open_tables(str(tables)), ClipSettings(video=name), tmp_path / f"{name}.mp4")
    return read_clip(tmp_path / f"{name}.mp4"), index


@pytest.mark.data
@pytest.mark.parametrize("name", ["car_vfr.mp4", "person_vp9.webm", "car_mpeg4.avi"])
def test_real_videos_keep_their_times(data_pack, tmp_path, name):
    """Every frame of a real video is in its clip, at its time."""
    (times, durations, _), index = cut_real(data_pack, tmp_path, name)
    assert times == pytest.approx(1000 * (index.times_s - index.times_s[0]), abs=1)
    assert sum(durations) == pytest.approx(1000 * (index.end_s - index.times_s[0]), abs=len(times))


@pytest.mark.data
def test_turned_video_is_upright(data_pack, tmp_path):
    """A video stored on its side and marked so gives the clip that the upright one gives."""
    turned, upright = (
        cut_real(data_pack, tmp_path, name)[0][2][0] for name in ("walk_upright_rot90.mp4", "walk.mkv")
    )
    assert turned.shape == upright.shape
    assert np.abs(turned.astype(int) - upright).mean() < 8
