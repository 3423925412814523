"""A clip in a browser: it plays, at its size, for as long as it should."""

import io

import numpy as np
import pytest
from PIL import Image

from detector.reports.clip import ClipSettings, write_clip
from detector.reports.query import open_tables

from .conftest import make_video_score, write_tables, write_video

pytestmark = pytest.mark.browser
STATE = """() => { const v = document.querySelector('video'); return {
  duration: v.duration, width: v.videoWidth, height: v.videoHeight, at: v.currentTime, ended: v.ended,
  error: v.error && v.error.message }; }"""


@pytest.fixture
def player(browser, tmp_path):
    """Open a clip of a video in a page of its own: call with the clip's file."""
    opened = browser.new_page()

    def play(clip):
        page = tmp_path / "player.html"
        page.write_text(f'<video src="{clip.name}" muted preload="auto"></video>')
        opened.goto(page.as_uri())
        opened.wait_for_function("document.querySelector('video').readyState >= 2", timeout=20_000)
        return opened

    yield play
    opened.close()


def test_clip_plays_to_its_end(player, video_tables, tmp_path):
    """Duration and size are the clip's, playing advances the time, and it ends without an error."""
    settings = ClipSettings(video="square.mp4", start_s=2.5)
    write_clip(open_tables(str(video_tables)), settings, tmp_path / "clip.mp4")
    page = player(tmp_path / "clip.mp4")
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_function("document.querySelector('video').ended", timeout=20_000)
    state = page.evaluate(STATE)
    assert state["duration"] == pytest.approx(0.8, abs=0.02)
    assert (state["width"], state["height"], state["error"]) == (480, 360, None)
    assert state["at"] == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("hw", "size"), [((16, 640), (640, 16)), ((82, 46), (270, 480))])
def test_clips_of_odd_shapes_play(player, video, tmp_path, hw, size):
    """Very wide and small upright videos play, too."""
    write_video(video, hw=hw)
    tables = write_tables(tmp_path / "lake", make_video_score("one", video, {0: []}))
    write_clip(open_tables(str(tables)), ClipSettings(video="square.mp4"), tmp_path / "clip.mp4")
    state = player(tmp_path / "clip.mp4").evaluate(STATE)
    assert (state["width"], state["height"], state["error"]) == (*size, None)


def test_gap_is_shown_as_long_as_in_the_video(player, video_tables, tmp_path):
    """At 2 s, inside the gap, the browser shows the frame of 0.5 s: the square is at its sixth place."""
    write_clip(open_tables(str(video_tables)), ClipSettings(video="square.mp4"), tmp_path / "clip.mp4")
    page = player(tmp_path / "clip.mp4")
    page.evaluate("""() => new Promise(done => { const v = document.querySelector('video');
        v.onseeked = () => done(); v.currentTime = 2.0; })""")
    shot = np.asarray(Image.open(io.BytesIO(page.locator("video").screenshot())))
    assert int(shot[-15, :, 0].astype(int).argmax()) // 30 == 5
