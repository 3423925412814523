"""Routes: a file is opened once where its container seeks to packets, and no seek is believed."""

from collections import Counter
from dataclasses import replace

import av
import pytest

from detector.media.video import container
from detector.media.video.clock import PacketCollector
from detector.media.video.container import open_video
from detector.media.video.index import read_index
from detector.media.video.packets import read_facts
from detector.media.video.routes import _go_back, open_route
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import cut_into_segments

LIMIT = 10**7


@pytest.fixture
def opened(monkeypatch):
    """Count how often FFmpeg opens something."""
    counts, open_container = Counter(), av.open

    def count(*arguments, **options):
        counts["opened"] += 1
        return open_container(*arguments, **options)

    monkeypatch.setattr(container.av, "open", count)
    return counts


@pytest.mark.parametrize(("name", "times"), [("h264_closed", 1), ("h264_open_gop", 1), ("mpeg2_ps", 2)])
def test_a_segment_opens_its_file_once(clips, opened, name, times):
    """Of mp4 and Matroska; a program stream is opened anew for the second pass."""
    sampling = parse_sampling("every_frame")
    with clips[name].open("rb") as file:
        index = read_index(file, max_pixels=LIMIT)
        assert opened.pop("opened") == 1
        segment = cut_into_segments(index, segment_s=1e9, start_s=0, end_s=None, sampling=sampling)[0]
        with open_route(file, segment, sampling, stream=None, max_pixels=LIMIT) as (_, route, packets):
            assert [packet.dts for packet in packets] == [packet_dts(route, n) for n in range(len(route.pts))]
    assert opened["opened"] == times


def packet_dts(route, number):
    """Give a packet's decoding time, None where the container tells none."""
    known = int(route.packets.dts[number])
    return None if known == -(2**63) else known


def test_a_seek_that_leads_elsewhere_is_seen(clips):
    """To the keyframe before a time that no packet has: then the file must be opened anew."""
    with clips["h264_closed"].open("rb") as file, open_video(file, max_pixels=LIMIT) as source:
        packets = PacketCollector(facts for _, facts in read_facts(source)).give()
        again = _go_back(source, packets)
        assert len(list(again)) == len(packets.pts)
        moved = packets.pts.copy()
        moved[0] += 1
        assert _go_back(source, replace(packets, pts=moved)) is None
