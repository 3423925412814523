"""Clips to measure with, made of the data pack's: longer ones, and one as large as cameras record."""

from fractions import Fraction
from pathlib import Path

import av

PROJECT = Path(__file__).resolve().parents[2]
VIDEOS = PROJECT.parent / "shared" / "data" / "videos"


def repeat_clip(source: Path, target: Path, times: int) -> Path:
    """Remux a clip one time after another: the same packets with later times."""
    with av.open(str(target), "w") as out:
        copied, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as container:
                stream = container.streams.video[0]
                copied = out.add_stream_from_template(stream) if copied is None else copied
                packets = [packet for packet in container.demux(stream) if packet.size]
                fill_decoding_times(packets)
                end = max(packet.pts + packet.duration for packet in packets)
                for packet in packets:
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = copied
                    out.mux(packet)
                offset += end
    return target


def fill_decoding_times(packets: list[av.Packet]) -> None:
    """Give the first packets times as far before the first known one as they come earlier."""
    first = next(place for place, packet in enumerate(packets) if packet.dts is not None)
    for place in range(first):
        packets[place].dts = packets[first].dts - (first - place) * packets[first].duration


def enlarge_clip(source: Path, target: Path) -> Path:
    """Encode a clip again at 1920 x 1080."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "20", "preset": "fast", "g": "60"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number, frame in enumerate(container.decode(video=0)):
            large = frame.reformat(1920, 1080, "yuv420p", interpolation="LANCZOS")
            large.pts, large.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(large))
        out.mux(stream.encode())
    return target
