"""Stills of videos on the page: which frames, which boxes, and what is said without a still."""

import io
import os
import re

import numpy as np
import pytest
from PIL import Image

from detector.reports.page import START_SCORE, write_page
from detector.reports.query import open_tables
from detector.reports.stills import read_stills

from .conftest import make_box, make_video_score, write_tables, write_video

BOX = (0.25, 0.25, 0.75, 0.5)


def read_page(tables, tmp_path):
    """Write the page and give its text."""
    write_page(open_tables(str(tables)), tmp_path / "page.html", title="Videos")
    return (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("name", "codec"), [("square.mp4", "libx264"), ("square.mkv", "libx264"), ("square.avi", "mpeg4")]
)
def test_stills_are_the_best_frames_spread_over_time(tmp_path, name, codec):
    """Of each third of the time the frame of the highest scores is shown: the very frame, by its square."""
    times = [n / 10 for n in range(10)]
    write_video(tmp_path / name, times, codec=codec, ticks=10)
    scores = {0: 0.2, 1: 0.9, 2: 0.5, 4: 0.4, 5: 0.8, 7: 0.2, 8: 0.6}
    found = {number: [make_box(BOX, score=score)] for number, score in scores.items()}
    row = make_video_score("one", tmp_path / name, found)
    for frame in row["frames"]:
        frame["time_s"] = times[frame["frame_index"]]
    connection = open_tables(str(write_tables(tmp_path / "lake", row)))
    stills = list(read_stills(connection, {}, START_SCORE))
    assert [still.frame_index for still in stills] == [1, 5, 8]
    pixels = [np.asarray(Image.open(io.BytesIO(still.content))) for still in stills]
    assert [int(picture[-4, :, 0].astype(int).argmax()) // 8 for picture in pixels] == [1, 5, 8]


def test_page_shows_stills_with_name_and_time(video_tables, tmp_path):
    """Each still has the video's name, m:ss, a link to that moment, and its own frame's box alone."""
    html = read_page(video_tables, tmp_path)
    assert re.findall(r'<span class="moment">([^<]+)</span>', html) == ["0:00", "0:02"]
    assert html.count('<img src="data:image/jpeg') == html.count('<g class="box') == 2
    assert "square.mp4#t=2.900" in html
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", html))
    assert tiles == {"videos scored": "1", "detections": "2", "labels": "2", "failed": "0"}


def test_video_without_detections_is_listed(video, tmp_path):
    """A video in which nothing was found says so, with the number of frames looked at."""
    html = read_page(
        write_tables(tmp_path / "lake", make_video_score("one", video, {0: [], 3: []})), tmp_path
    )
    assert "nothing found in 2 frames" in html
    assert "No picture was scored" not in html


def test_replaced_and_missing_videos_have_a_note(video_tables, video, tmp_path):
    """A file that changed or is gone keeps its figures, with the reason in place of the stills."""
    os.utime(video, (1, 1))
    assert read_page(video_tables, tmp_path).count("changed since it was scored") == 2
    video.unlink()
    assert "can&#39;t be read now: the file is no longer there" in read_page(video_tables, tmp_path)


def test_segments_are_one_video_and_one_failure(video, tmp_path):
    """Three segments of a video count once; two that failed alike are one line, and the first part is said."""
    failed = {"status": "failed", "error_class": "MediaNotFound", "error_message": "gone", "frames_scored": 0}
    rows = [
        make_video_score("a", video, {0: [make_box(BOX)]}, segment_end_s=1.0),
        *(make_video_score(f"b{n}", video, {}, segment_index=n, **failed) for n in (1, 2)),
        make_video_score(
            "c", video, {6: []}, segment_index=3, error_class="DamagedVideo", error_message="at 3 s"
        ),
    ]
    html = read_page(write_tables(tmp_path / "lake", *rows), tmp_path)
    assert "2 segments" in html
    assert "scored in part" in html
    assert len(re.findall(r"<code>", html)) == 2
    assert "<dt>videos scored</dt><dd>1</dd>" in html


def test_two_models_have_stills_each(video, tmp_path):
    """A video that two models scored is shown for each, by the model's name."""
    rows = [
        make_video_score(name, video, {0: [make_box(BOX)]}, model_name=name) for name in ("alpha", "beta")
    ]
    html = read_page(write_tables(tmp_path / "lake", *rows), tmp_path)
    assert re.findall(r'<span class="quiet">(alpha|beta)</span>', html) == ["alpha", "beta"]
