"""Whether a video is there to its end: what its container announces beside what its packets give.

Owns that comparison. A container that announces nothing, and breaks off between two frames, seems whole.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from typing import Any, BinaryIO

import av
from av.packet import Packet

from detector.media.video.container import VideoSource

_MISSING_S = 0.5  # what a container's rounded duration may promise too much
_HEADED_FORMATS = ("matroska,webm", "flv", "asf")  # the others' durations are FFmpeg's estimates
_TRANSPORT_PACKETS = ((0, 188), (4, 192), (0, 204))  # offset of the first sync byte, bytes of a packet
_SYNC = 0x47
_LOOKED_AT_PACKETS = 5


class Completeness:
    """Watches a file's packets, of all its streams, and tells afterwards whether the end is missing.

    ``announced_end_s``: when the header says that the video ends, or the whole file does, in seconds from
    the file's start; None where it says nothing. ``announced_frames`` likewise.
    """

    def __init__(self, source: VideoSource) -> None:
        self._source = source
        self._is_of_file = False
        self._latest: dict[int, int] = {}  # the end of each stream so far, in its time base
        self.announced_frames: int | None = source.stream.frames or None
        self.announced_end_s = self._find_announced_end_s()

    def watch(self, packet: Packet[Any]) -> None:
        """Note when a packet of any stream ends."""
        if packet.pts is not None:
            stream, end = packet.stream_index, packet.pts + (packet.duration or 0)
            if end > self._latest.get(stream, end - 1):
                self._latest[stream] = end

    def explain(self, file: BinaryIO, frames: int, end_s: float, damage: str | None) -> str | None:
        """Say that the file breaks off after ``frames`` frames, the last shown until ``end_s``; None if not.

        ``damage`` is what the demuxer met.
        """
        announced, reached_s = self.announced_end_s, max(end_s, *self._list_ends_s())
        is_short = announced is not None and announced - reached_s > _MISSING_S
        if self.announced_frames is not None and frames < self.announced_frames and (is_short or damage):
            return f"the file breaks off: {frames} of {self.announced_frames} frames are there"
        if is_short:
            return f"the file breaks off: its header announces {announced:.3f} s"
        if self._source.container.format.name == "mpegts" and _ends_within_packet(file):
            return "the file breaks off within a transport packet"
        return None

    def _list_ends_s(self) -> list[float]:
        """List when the streams that the announcement speaks of end."""
        streams = self._source.container.streams
        bases = {at: streams[at].time_base for at in self._latest} if self._is_of_file else {}
        return [
            0.0,
            *(float(self._latest[at] * base - self._source.start_s) for at, base in bases.items() if base),
        ]

    def _find_announced_end_s(self) -> float | None:
        stream, container = self._source.stream, self._source.container
        if stream.duration and stream.start_time is not None:
            return self._source.tell_time_s(stream.start_time + stream.duration)
        self._is_of_file = True
        if container.duration and container.format.name in _HEADED_FORMATS:
            # FFmpeg writes when the last frame ends by the file's clock, which may not begin at 0; others
            # write the time between first and last. The smaller of both accuses no whole file.
            return container.duration / av.time_base - max(0.0, float(self._source.start_s))
        return None


def _ends_within_packet(file: BinaryIO) -> bool:
    file.seek(0)
    head = file.read(_LOOKED_AT_PACKETS * max(size for _, size in _TRANSPORT_PACKETS))
    size_bytes = file.seek(0, 2)
    for offset, size in _TRANSPORT_PACKETS:
        places = range(offset, len(head), size)
        if len(places) > 1 and all(head[place] == _SYNC for place in places):
            return size_bytes % size != 0
    return False
