"""Files that break off: told by what their container announces, and never of whole ones."""

import io
import re

import av
import numpy as np
import pytest

from detector.errors import DamagedVideoError
from detector.media.video.index import read_index

from .conftest import RECIPES, Recipe, write_clip


def index_bytes(content):
    """Read the index of a file's bytes."""
    return read_index(io.BytesIO(content), max_pixels=10**7)


def write_with_sound(path):
    """Write a Matroska file of 36 frames, 3.6 s, and as much sound beside them."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = container.add_stream("aac", rate=8000)
        for number in range(36):
            noise = np.random.default_rng(number).integers(0, 256, (64, 96, 3), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 8000, number * 800
            container.mux(audio.encode(frame))
        container.mux([*video.encode(), *audio.encode()])
    return path.read_bytes()


@pytest.mark.parametrize("name", RECIPES)
def test_whole_files_are_whole(clips, name):
    """No damage is told of any container."""
    if name in clips:
        assert index_bytes(clips[name].read_bytes()).damage is None


def test_missing_seconds_are_told(clips):
    """Matroska's header announces the whole; the second is that of the last frame's end."""
    content = clips["h264_open_gop"].read_bytes()
    index = index_bytes(content[: len(content) * 3 // 4])
    assert index.damage == "the file breaks off: its header announces 3.600 s"
    assert index.damaged_at_s == index.end_s < 3.1


def test_missing_frames_are_counted(clips, tmp_path):
    """An mp4 with its header first announces frames, too."""
    fast = tmp_path / "fast.mp4"
    with (
        av.open(str(clips["h264_closed"])) as container,
        av.open(str(fast), "w", options={"movflags": "faststart"}) as out,
    ):
        copied = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
    content = fast.read_bytes()
    index = index_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    assert index.announced_frames == 36
    assert index.damage == f"the file breaks off: {len(index.pts)} of 36 frames are there"


def test_an_mp4_without_its_index_is_refused(clips):
    """It's at the end, and without it no frame can be found."""
    content = clips["h264_closed"].read_bytes()
    with pytest.raises(DamagedVideoError, match="header can't be read"):
        index_bytes(content[: len(content) * 9 // 10])


def test_a_transport_stream_ends_with_a_packet(clips):
    """It announces nothing, but its packets have 188 bytes."""
    content = clips["h264_pyramid_ts"].read_bytes()
    assert index_bytes(content[: len(content) // 188 // 2 * 188 + 100]).damage.endswith("transport packet")
    assert index_bytes(content).damage is None


def test_sound_does_not_hide_what_is_missing(tmp_path):
    """The header's time is that of all streams: cut off, none reaches it."""
    content = write_with_sound(tmp_path / "sound.mkv")
    assert index_bytes(content).damage is None
    damage = index_bytes(content[: len(content) // 2]).damage
    assert re.fullmatch(r"the file breaks off: its header announces 3\.\d+ s", damage)


def test_longer_sound_is_no_damage(tmp_path):
    """Two seconds of sound after the last frame, all there."""
    path = tmp_path / "long_sound.mkv"
    write_with_sound(path)
    short = write_clip(tmp_path / "short.mkv", Recipe("mkv", "mpeg4", {}), frames=10)
    joined = tmp_path / "joined.mkv"
    with av.open(str(short)) as one, av.open(str(path)) as other, av.open(str(joined), "w") as out:
        sources = ((one, one.streams.video[0]), (other, other.streams.audio[0]))
        copies = [out.add_stream_from_template(stream) for _, stream in sources]
        for (container, stream), copied in zip(sources, copies, strict=True):
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copied
                    out.mux(packet)
    index = index_bytes(joined.read_bytes())
    assert (len(index.pts), index.damage) == (10, None)
    assert index.announced_end_s > 3
