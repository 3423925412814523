"""Containers that tell little, or other than they seem: times, numbers and pixels are those of one pass."""

from fractions import Fraction

import av
import numpy as np
import pytest

from detector.media.video.container import open_video
from detector.media.video.conversion import FrameConverter
from detector.media.video.index import read_index
from detector.media.video.packets import read_facts

from .conftest import Recipe, write_clip
from .test_frames import read_all

CANVAS_HW = (48, 48)
X264 = {"g": "12", "bf": "3", "threads": "1", "sc_threshold": "0"}
RECIPES = {
    "avi_b_frames": Recipe("avi", "libx264", X264),
    "gradual_refresh": Recipe("mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=12:bframes=0"}),
    "gradual_refresh_ts": Recipe("ts", "libx264", {"x264-params": "intra-refresh=1:keyint=12:bframes=0"}),
    "mbaff": Recipe("mp4", "libx264", X264 | {"flags": "+ildct+ilme"}),
    "flv": Recipe("flv", "libx264", X264),
    "vp8_altref": Recipe("webm", "libvpx", {"g": "10", "auto-alt-ref": "1", "lag-in-frames": "8", "b": "200k"}),
    "mpeg2_ts": Recipe("ts", "mpeg2video", {"g": "9", "bf": "2"}),
    "asf": Recipe("asf", "wmv2", {"g": "9"}),
    "prores": Recipe("mov", "prores", {}, "yuv422p10le"),
}  # fmt: skip


@pytest.fixture(scope="module")
def odd_clips(tmp_path_factory):
    """Give the clips of RECIPES, and one with an edit list, by name."""
    folder = tmp_path_factory.mktemp("odd")
    made = {name: write_clip(folder / f"{name}.{r.suffix}", r) for name, r in RECIPES.items()}
    source = write_clip(folder / "source.mp4", Recipe("mp4", "libx264", X264))
    return made | {"edit_list": begin_later(source, folder / "edit_list.mp4", frames=5)}


def begin_later(source, target, *, frames):
    """Remux with an edit list that leaves out the first frames, a keyframe among them."""
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(str(source)) as container, av.open(str(target), "w", options=options) as out:
        stream = container.streams.video[0]
        copied, shift = out.add_stream_from_template(stream), int(Fraction(frames, 10) / stream.time_base)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copied
                out.mux(packet)
    return target


def decode_plainly(path):
    """Decode as PyAV's manual has it, from beginning to end; give the pictures."""
    with av.open(str(path)) as container:
        converter = FrameConverter(None, CANVAS_HW)
        return [converter.convert(frame).pixels for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", [*RECIPES, "edit_list"])
@pytest.mark.parametrize("sample", ["every_frame", "every_n: 5", "keyframes", "scenes"])
@pytest.mark.parametrize("segment_s", [0.1, 1.1, 100])
def test_frames_are_those_of_a_plain_pass(odd_clips, name, sample, segment_s):
    """By FFmpeg alone, without index, cut or seek; each under its own number, in order."""
    plain = decode_plainly(odd_clips[name])
    found = read_all(odd_clips[name], sample, segment_s=segment_s, canvas_hw=CANVAS_HW)
    numbers = [number for number, _, _ in found]
    assert numbers == sorted(set(numbers))
    if sample.startswith("every"):
        assert numbers == list(range(0, len(plain), 5 if "5" in sample else 1))
    for number, _, pixels in found:
        np.testing.assert_array_equal(pixels, plain[number])


def index_of(path):
    """Read the index of a file."""
    with path.open("rb") as file:
        return read_index(file, max_pixels=10**7)


def test_avi_with_b_frames_is_not_cut(odd_clips):
    """AVI counts frames in decoding order: their times are known, and not which frame has which."""
    index = index_of(odd_clips["avi_b_frames"])
    assert not index.has_pts
    assert np.diff(index.times_s) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["gradual_refresh", "gradual_refresh_ts"])
def test_gradual_refresh_has_one_keyframe(odd_clips, name):
    """A recovery point with frames to come is an entry, and no whole picture."""
    assert index_of(odd_clips[name]).is_keyframe.sum() == 1
    with odd_clips[name].open("rb") as file, open_video(file, max_pixels=10**7) as source:
        facts = [found for _, found in read_facts(source) if found is not None]
    assert sum(found.is_entry for found in facts) == 3


def test_an_edit_list_moves_the_beginning(odd_clips):
    """Five of 36 frames are left out: the sixth is number 0 at 0.0 s."""
    index = index_of(odd_clips["edit_list"])
    assert (len(index.pts), index.times_s[0], index.damage) == (31, 0.0, None)


@pytest.mark.parametrize("codec_threads", [2, 5])
def test_threads_change_nothing(odd_clips, codec_threads):
    """Decoding frames in threads, and skipping some, gives the same frames."""
    path = odd_clips["mbaff"]
    alone = read_all(path, "every_n: 5", segment_s=1.0)
    together = read_all(path, "every_n: 5", segment_s=1.0, codec_threads=codec_threads)
    assert [frame[:2] for frame in together] == [frame[:2] for frame in alone]
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(alone, together, strict=True))
