"""What a video's packets tell without decoding: times, keyframes, and which give no frame.

Owns the reading of packets. A packet is one frame's bytes; few codecs have packets that are never shown.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from av.packet import Packet

from detector.media.video.container import VideoSource
from detector.media.video.recovery import refreshes_gradually

_MIN_BYTES = 2
_SUPERFRAME = 0b110


class PacketFacts(NamedTuple):
    """A packet in decoding order: its frame's presentation time (None: the container tells none).

    A decoder may begin at ``is_entry``; what is shown from ``is_key`` on is then the same as in one
    pass from the file's start.
    """

    pts: int | None
    dts: int | None
    duration: int
    is_entry: bool
    is_key: bool
    is_corrupt: bool


def read_packets(
    source: VideoSource, *, watch: Callable[[Packet[Any]], None] | None = None
) -> Iterator[Packet[Any]]:
    """Give the packets of the source's stream from the first entry on.

    ``watch`` is called with those of all streams, sound and others too.
    """
    has_begun = False
    for packet in source.container.demux(*([source.stream] if watch is None else [])):
        if not packet.size:
            continue
        if watch is not None:
            watch(packet)
            if packet.stream_index != source.stream.index:
                continue
        has_begun = has_begun or packet.is_keyframe
        if has_begun:
            yield packet


def read_facts(
    source: VideoSource, *, watch: Callable[[Packet[Any]], None] | None = None
) -> Iterator[tuple[Packet[Any], PacketFacts | None]]:
    """Give the same packets with their facts; without, those of frames that aren't shown."""
    codec, head = source.stream.codec_context.name, source.stream.codec_context.extradata or b""
    for packet in read_packets(source, watch=watch):
        if packet.is_discard or not _is_shown(packet, codec):
            yield packet, None
            continue
        is_entry = packet.is_keyframe
        is_key = is_entry and not (codec == "h264" and refreshes_gradually(packet, head))
        yield (
            packet,
            PacketFacts(packet.pts, packet.dts, packet.duration or 0, is_entry, is_key, packet.is_corrupt),
        )


def _is_shown(packet: Packet[Any], codec: str) -> bool:
    """Tell frames that only later ones refer to (RFC 6386, 9.1; VP9 bitstream, 6.2 and Annex B)."""
    if codec not in {"vp8", "vp9"} or packet.size < _MIN_BYTES:
        return True
    content = memoryview(packet)
    if codec == "vp8":
        return bool(content[0] >> 4 & 1)
    if content[-1] >> 5 == _SUPERFRAME:  # hidden frames and a shown one in one packet
        return True
    is_profile_3 = content[0] >> 4 & 3 == 3  # noqa: PLR2004 (two profile bits)
    after_profile = (content[0] << 8 | content[1]) << (5 if is_profile_3 else 4) & 0xFFFF
    shows_existing, shows_frame = after_profile >> 15 & 1, after_profile >> 13 & 1
    return bool(shows_existing or shows_frame)
