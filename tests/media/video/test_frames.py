"""Frames: the union of segments is one sequential pass, whatever the codec, cut and sampling."""

import functools
from collections import Counter

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.errors import DamagedVideoError, TooManyPixelsError
from detector.media.video.conversion import FrameConverter
from detector.media.video.frames import _Reader, read_frames
from detector.media.video.index import read_index
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import cut_into_segments

from .conftest import FRAMES, RECIPES, draw_frame, write_clip

SAMPLINGS = ["every_frame", "every_n: 5", "fps: 3.0", "keyframes", "scenes"]
REAL = [
    "walk.mkv",
    "walk_upright_rot90.mp4",
    "car_vfr.mp4",
    "car_mpeg4.avi",
    "person_vp9.webm",
    "brother.mkv",
]


def read_all(
    path, sample="every_frame", *, segment_s=1e9, canvas_hw=(48, 48), start_s=0.0, end_s=None, **options
):
    """Read the wanted frames of all segments, one after another: (index, time, pixels)."""
    sampling, found = parse_sampling(sample), []
    with path.open("rb") as file:
        index = read_index(file, max_pixels=10**7)
        segments = cut_into_segments(
            index, segment_s=segment_s, start_s=start_s, end_s=end_s, sampling=sampling
        )
        for segment in segments:
            frames = read_frames(
                file, segment, sampling=sampling, canvas_hw=canvas_hw, max_pixels=10**7, **options
            )
            found += [(frame.frame_index, frame.time_s, frame.pixels) for frame in frames]
    return found


@functools.cache
def read_once(path):
    """Read a whole clip sequentially, as one segment."""
    return {index: (time_s, pixels) for index, time_s, pixels in read_all(path)}


def count_by_decoding(path):
    """Count frames as FFmpeg gives them in one plain pass; give their times in the stream's time base."""
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def assert_same_as_one_pass(path, sample, segment_s):
    """Every frame that a sampling gives, however the clip is cut, is that frame of the one pass."""
    whole = read_once(path)
    found = read_all(path, sample, segment_s=segment_s)
    indices = [index for index, _, _ in found]
    assert indices == sorted(set(indices))
    for index, time_s, pixels in found:
        assert time_s == whole[index][0]
        np.testing.assert_array_equal(pixels, whole[index][1])
    uncut = [index for index, _, _ in read_all(path, sample)]
    assert indices == uncut
    if sample == "every_frame":
        assert indices == list(whole)


@pytest.mark.parametrize("name", RECIPES)
def test_index_counts_what_decoding_gives(clips, name):
    """As many frames as a plain pass of FFmpeg, at its times."""
    if name not in clips:
        pytest.skip(f"no encoder for {name} in this FFmpeg")
    decoded = count_by_decoding(clips[name])
    with clips[name].open("rb") as file:
        index = read_index(file, max_pixels=10**7)
    assert len(decoded) == len(index.pts) == FRAMES
    assert list(read_once(clips[name])) == list(range(FRAMES))
    if index.has_pts:
        assert decoded == index.pts.tolist()


def begin_at_second_keyframe(source, target):
    """Remux from the second keyframe on: what is shown before it refers to packets that are left out."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream, keyframes = container.streams.video[0], 0
        copied = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            keyframes += packet.is_keyframe
            if keyframes > 1 and packet.size:
                packet.stream = copied
                out.mux(packet)
    return target


@pytest.mark.parametrize(
    ("name", "has_leading"), [("h264_open_gop", False), ("hevc_open_gop", False), ("hevc_radl", True)]
)
def test_leading_frames_count_where_they_can_be_decoded(clips, tmp_path, name, has_leading):
    """A stream that was cut at a keyframe, of an open group or not: the index has what a plain pass gives."""
    path = begin_at_second_keyframe(clips[name], tmp_path / f"cut{clips[name].suffix}")
    with path.open("rb") as file:
        index = read_index(file, max_pixels=10**7)
    assert index.pts.tolist() == count_by_decoding(path)
    assert index.damage is None
    assert index.is_keyframe[0] != has_leading
    assert [number for number, _, _ in read_all(path)] == list(range(len(index.pts)))


@pytest.mark.parametrize("name", RECIPES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sample=st.sampled_from(SAMPLINGS), segment_s=st.floats(0.05, 4))
def test_segments_are_one_pass(clips, name, sample, segment_s):
    """Open and closed groups, B-frames, every codec here: nothing lost, nothing twice, pixel for pixel."""
    if name not in clips:
        pytest.skip(f"no encoder for {name} in this FFmpeg")
    assert_same_as_one_pass(clips[name], sample, segment_s)


@pytest.mark.data
@pytest.mark.parametrize("clip", REAL)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sample=st.sampled_from(SAMPLINGS), segment_s=st.floats(0.2, 15))
def test_segments_of_real_clips_are_one_pass(data_pack, clip, sample, segment_s):
    """The same over clips that cameras and other encoders made."""
    assert_same_as_one_pass(data_pack / "videos" / clip, sample, segment_s)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bounds=st.tuples(st.floats(0, 4), st.floats(0, 4)).map(sorted), segment_s=st.floats(0.3, 2))
def test_a_range_is_a_part(clips, bounds, segment_s):
    """start_s and end_s leave the frames shown from the one to before the other, numbers unchanged."""
    path = clips["h264_open_gop"]
    found = read_all(path, start_s=bounds[0], end_s=bounds[1] + 0.01, segment_s=segment_s)
    wanted = [i for i, (t, _) in read_once(path).items() if bounds[0] - 1e-6 <= t < bounds[1] + 0.01 - 1e-6]
    assert [index for index, _, _ in found] == wanted


@pytest.fixture
def work(monkeypatch):
    """Give a counter of what decoders are given and what is made RGB."""
    done = Counter()
    decode, convert = _Reader._try, FrameConverter.convert

    def count_decoding(reader, packet):
        done["decoded"] += packet is not None
        return decode(reader, packet)

    def count_conversion(converter, frame):
        done["converted"] += 1
        return convert(converter, frame)

    monkeypatch.setattr(_Reader, "_try", count_decoding)
    monkeypatch.setattr(FrameConverter, "convert", count_conversion)
    return done


@pytest.mark.parametrize("name", ["h264_closed", "hevc_open_gop", "vp9", "av1", "mpeg4"])
def test_keyframes_alone_are_decoded(clips, work, name):
    """As many packets as frames that are given; none else is made RGB."""
    found = read_all(clips[name], "keyframes")
    assert work == {"decoded": len(found), "converted": len(found)}
    assert 1 < len(found) < FRAMES


def test_unwanted_frames_cost_little(clips, work):
    """Every 20th of 36 frames in groups of six: numbers 0 and 20, the first and four packets of two groups."""
    assert [index for index, _, _ in read_all(clips["h264_closed"], "every_n: 20")] == [0, 20]
    assert work["converted"] == 2
    assert work["decoded"] <= 1 + 5


def test_scenes_begin_where_the_ground_changes(clips):
    """Frames 0, 12 and 24."""
    assert [index for index, _, _ in read_all(clips["h264_closed"], "scenes")] == [0, 12, 24]


def test_pixels_are_those_of_the_frame(clips):
    """Colours survive: native size within a few levels of what was drawn."""
    found = read_all(clips["mjpeg"], "every_n: 12", canvas_hw=None)
    for index, _, pixels in found:
        assert np.abs(pixels.astype(int) - draw_frame(index)).mean() < 6


@pytest.mark.data
def test_a_turned_clip_is_shown_upright(data_pack):
    """The clip with rotation metadata looks like the upright one; it's 640 x 480 again."""
    upright = read_all(data_pack / "videos/walk.mkv", "every_n: 30", canvas_hw=None)
    turned = read_all(data_pack / "videos/walk_upright_rot90.mp4", "every_n: 30", canvas_hw=None)
    assert [frame[2].shape for frame in turned] == [(480, 640, 3)] * 3
    for (_, _, one), (_, _, other) in zip(upright, turned, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 8


def test_wide_pixels_are_made_square(tmp_path):
    """A sample aspect ratio of 2:1 doubles the width."""
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        container.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24"))
        )
        container.mux(stream.encode())
    with path.open("rb") as file:
        index = read_index(file, max_pixels=10**7)
    assert (index.width_px, index.height_px) == (192, 64)
    assert read_all(path, canvas_hw=None)[0][2].shape == (64, 192, 3)


def test_times_are_the_frames_own(tmp_path):
    """Uneven times come back as they were written, also across a gap of two seconds."""
    times = [0, 4, 9, 30, 31, 250, 251, 300]
    path = write_clip(tmp_path / "uneven.mkv", RECIPES["h264_closed"], frames=8, times=times)
    assert [time_s for _, time_s, _ in read_all(path)] == pytest.approx([t / 100 for t in times], abs=1e-3)
    assert [index for index, _, _ in read_all(path, "fps: 1.0")] == [0, 4, 7]


@pytest.mark.data
@pytest.mark.parametrize("fps", [0.5, 2.0, 7.0])
def test_sampling_by_time_takes_the_frame_shown(data_pack, fps):
    """car_vfr.mp4 over its gap of 2.4 s: the frames of an oracle that walks all instants by hand."""
    path = data_pack / "videos/car_vfr.mp4"
    with av.open(str(path)) as container:
        shown_at = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
        end_s = container.duration / av.time_base
    wanted, instant = [], 0
    while instant / fps < end_s:
        shown = max(place for place, time_s in enumerate(shown_at) if time_s <= instant / fps + 1e-9)
        wanted += [shown] if shown not in wanted else []
        instant += 1
    assert [index for index, _, _ in read_all(path, f"fps: {fps}")] == wanted


def test_a_file_cut_off_gives_what_it_has(clips, tmp_path):
    """An AVI's header and half of its frames: those, then the damage."""
    short = tmp_path / "short.avi"
    content = clips["mpeg4"].read_bytes()
    begin = content.index(b"movi")
    short.write_bytes(content[: (begin + len(content)) // 2])
    sampling, found = parse_sampling("every_frame"), []
    with short.open("rb") as file:
        index = read_index(file, max_pixels=10**7)
        (segment,) = cut_into_segments(index, segment_s=60, start_s=0, end_s=None, sampling=sampling)
        frames = read_frames(file, segment, sampling=sampling, canvas_hw=None, max_pixels=10**7)
        with pytest.raises(DamagedVideoError, match=r"of 36 wanted frames") as caught:
            found.extend(frame.frame_index for frame in frames)
    assert found == list(range(len(found)))
    assert 5 < len(found) < FRAMES
    assert segment.frames_expected == FRAMES
    assert " s" in str(caught.value)


def test_zeros_in_the_middle_are_told(clips, tmp_path):
    """Overwritten bytes: what can be decoded is given, and the damage is named with its second."""
    broken = bytearray(clips["mpeg4"].read_bytes())
    middle = len(broken) // 2
    broken[middle : middle + 2000] = bytes(2000)
    path = tmp_path / "zeros.avi"
    path.write_bytes(bytes(broken))
    with pytest.raises(DamagedVideoError, match=r"at \d+\.\d+ s"):
        read_all(path)


def test_frames_larger_than_allowed_are_refused(clips):
    """By the header, before a frame is decoded."""
    with clips["h264_closed"].open("rb") as file, pytest.raises(TooManyPixelsError, match="96 x 64"):
        read_index(file, max_pixels=6000)


def test_memory_is_that_of_a_frame(clips):
    """Frames come one by one: the first is there before the second is decoded."""
    sampling = parse_sampling("every_frame")
    with clips["h264_closed"].open("rb") as file:
        index = read_index(file, max_pixels=10**7)
        (segment,) = cut_into_segments(index, segment_s=60, start_s=0, end_s=None, sampling=sampling)
        frames = read_frames(file, segment, sampling=sampling, canvas_hw=None, max_pixels=10**7)
        assert next(frames).frame_index == 0
        frames.close()
