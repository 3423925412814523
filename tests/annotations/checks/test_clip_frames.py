"""Pictures out of videos: which ones, under which names, and never over another."""

import av
import numpy as np
import pytest
from PIL import Image

from detector.annotations.clip_frames import take_frames
from detector.annotations.dataset_settings import FramesSettings
from detector.annotations.grouping import group_pictures
from detector.annotations.picture_facts import examine_pictures
from detector.errors import SettingsError


@pytest.fixture
def clip(tmp_path):
    """Give a video of 50 frames, 10 a second, each of a grey that tells its number."""
    path = tmp_path / "my clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(50):
            pixels = np.full((48, 64, 3), 20 + 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path


def take(*videos, out, **settings):
    """Take frames; give the counts."""
    return take_frames(
        FramesSettings(videos=list(videos), out=out, **settings), lambda name: lambda done, total: None
    )


def test_frames_are_those_shown_at_each_instant(clip, tmp_path):
    """Every 1.5 s: frames 0, 15, 30, 45, each the grey that was drawn."""
    result = take(clip, out=tmp_path / "out", every="1.5s")
    assert result.frames == {"my clip": 4}
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "my clip_t000000.000s_f000000.jpg",
        "my clip_t000001.500s_f000015.jpg",
        "my clip_t000003.000s_f000030.jpg",
        "my clip_t000004.500s_f000045.jpg",
    ]
    greys = [np.asarray(Image.open(tmp_path / "out" / name)).mean() for name in names]
    assert greys == pytest.approx([20, 80, 140, 200], abs=4)


def test_a_second_run_changes_nothing_and_never_replaces(clip, tmp_path):
    """The same picture is left alone; another of the name is refused, unless told to overwrite."""
    out = tmp_path / "out"
    take(clip, out=out, every="2s")
    path = out / "my clip_t000002.000s_f000020.jpg"
    before = path.stat().st_mtime_ns
    take(clip, out=out, every="2s")
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"annotated meanwhile")
    with pytest.raises(SettingsError, match="another picture"):
        take(clip, out=out, every="2s")
    assert path.read_bytes() == b"annotated meanwhile"
    take(clip, out=out, every="2s", overwrite=True)
    assert path.read_bytes().startswith(b"\xff\xd8")


def test_range_of_a_clip(clip, tmp_path):
    """From 2 s to before 4 s."""
    take(clip, out=tmp_path / "out", every="1s", start="2s", end="4000ms")
    assert [path.name[-12:-4] for path in sorted((tmp_path / "out").iterdir())] == ["_f000020", "_f000030"]


def test_a_broken_video_does_not_stop_the_others(clip, tmp_path):
    """Each is told by name, with what is wrong; the whole one is done."""
    broken = tmp_path / "broken.avi"
    broken.write_bytes(clip.read_bytes()[:200])
    (tmp_path / "empty.mp4").write_bytes(b"")
    result = take(broken, tmp_path / "empty.mp4", clip, out=tmp_path / "out", every="1s")
    assert [
        name in failure for name, failure in zip(("broken.avi", "empty.mp4"), result.failures, strict=True)
    ] == [True] * 2
    assert result.frames == {"broken": 0, "empty": 0, "my clip": 5}
    assert len(list((tmp_path / "out").glob("my clip*"))) == 5


def test_two_clips_of_one_name_are_refused(clip, tmp_path):
    """Their pictures would share names."""
    with pytest.raises(SettingsError, match="share a name"):
        take(clip, tmp_path / "my clip.mp4", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.data
def test_frames_of_real_clips_are_upright_and_one_group_each(data_pack, tmp_path):
    """A clip stored on its side, 480 x 640, gives upright pictures; the split keeps each clip's together."""
    videos = [data_pack / "videos" / name for name in ("walk_upright_rot90.mp4", "bottle-detection.mp4")]
    result = take(*videos, out=tmp_path, every="5s")
    images = sorted(path.name for path in tmp_path.iterdir())
    facts = examine_pictures(tmp_path, images)
    assert len(images) == sum(result.frames.values()) > 3
    assert len(set(group_pictures(facts).values())) == 2
    assert {(fact.width_px, fact.height_px) for fact in facts if fact.image.startswith("walk")} == {
        (640, 480)
    }
