"""The way to a segment's frames: where to begin reading, which packets follow, and which frames are wanted.

Owns seeking. Trusts no container's seek: whether it led before the segment, and to all of its frames, is
checked, and the file's start is the last resort.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO, TypeAlias, TypeVar

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from detector.media.video.clock import PacketCollector, PacketTimes, to_seconds
from detector.media.video.container import VideoSource, open_video
from detector.media.video.packets import read_facts, read_packets
from detector.media.video.sampling import Sampling, choose_frames
from detector.media.video.segments import Segment

T = TypeVar("T")
Packets: TypeAlias = "Iterator[Packet[Any]]"
# Program streams give some frames their times only; the others' depend on where one begins to read.
_WITHOUT_EACH_TIME = frozenset({"mpeg"})
_STEPS_BACK_S = (0.0, 1.0, 10.0)  # where a container seeks badly; then from the file's start
_INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})  # they seek to packets, not to bytes


@dataclass(frozen=True)
class Route:
    """The packets to read in decoding order, and the segment's frames in presentation order.

    ``pts`` int64 [N] in the stream's time base, ``times_s`` float64 [N] from the file's start, ``is_wanted``
    bool [N].
    """

    packets: PacketTimes
    pts: NDArray[np.int64]
    times_s: NDArray[np.float64]
    is_wanted: NDArray[np.bool_]


@contextmanager
def open_route(
    file: BinaryIO, segment: Segment, sampling: Sampling, *, stream: int | None, max_pixels: int
) -> Iterator[tuple[VideoSource, Route, Packets]]:
    """Demux the segment from the last keyframe that leads to all of its frames, and go back there.

    Gives the open video, the route, and its packets once more.
    """
    scenes_before = sampling.kind == "scenes" and segment.first_frame > 0
    target = segment.start_pts - (1 if scenes_before else 0)  # the frame before the border is looked at, too
    steps_s = () if segment.first_frame == 0 or not segment.has_pts else _STEPS_BACK_S
    for step_s in (*steps_s, None):
        with _open_at(file, target, step_s, stream=stream, max_pixels=max_pixels) as source:
            packets = _collect(source, segment)
            is_exact = source.container.format.name not in _WITHOUT_EACH_TIME
            if step_s is not None and not (is_exact and _leads_to(packets, segment, target)):
                continue
            route = _build_route(source, segment, sampling, packets)
            again = _go_back(source, packets) if segment.has_pts else None
            if again is not None:
                yield source, route, again
                return
        with _open_at(file, target, step_s, stream=stream, max_pixels=max_pixels) as source:
            yield source, route, _stop_calmly(read_packets(source))
            return


@contextmanager
def _open_at(
    file: BinaryIO, target: int, step_s: float | None, *, stream: int | None, max_pixels: int
) -> Iterator[VideoSource]:
    """Open the video ``step_s`` before the time ``target``; at its start for None."""
    file.seek(0)
    with open_video(file, stream=stream, max_pixels=max_pixels) as source:
        if step_s is not None:
            with suppress(av.FFmpegError):  # whoever reads on checks where this led
                place = target - round(step_s / source.time_base)
                source.container.seek(place, stream=source.stream, backward=True)
        yield source


def _go_back(source: VideoSource, packets: PacketTimes) -> Packets | None:
    """Seek to the first of ``packets``; None where that doesn't lead to it: the file must be opened anew."""
    if source.container.format.name not in _INDEXED or not packets.is_shown[:1].all():
        return None
    with suppress(av.FFmpegError):
        source.container.seek(int(packets.pts[0]), stream=source.stream, backward=True)
        again = read_packets(source)
        first = next(again, None)
        if first is None or not first.is_keyframe:
            return None
        if first.pts == packets.pts[0] and first.dts in (None, packets.dts[0]):
            return _stop_calmly(chain([first], again))
    return None


def _stop_calmly(packets: Iterator[T]) -> Iterator[T]:
    """Give packets; a container that breaks off ends."""
    with suppress(av.FFmpegError):  # the index has met the same and tells it
        yield from packets


def _collect(source: VideoSource, segment: Segment) -> PacketTimes:
    """Read facts until all frames of the segment are among them."""
    collector, seen = PacketCollector(), 0
    end = np.inf if segment.end_pts is None else segment.end_pts
    for _, found in _stop_calmly(read_facts(source)):
        collector.add(found)
        if segment.has_pts and found is not None and found.pts is not None:
            seen += segment.start_pts <= found.pts < end
            if seen == segment.frames:
                break
    return collector.give()


def _is_inside(pts: NDArray[np.int64], segment: Segment) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = pts >= segment.start_pts
    return inside if segment.end_pts is None else inside & (pts < segment.end_pts)


def _leads_to(packets: PacketTimes, segment: Segment, target: int) -> bool:
    shown = packets.take(packets.is_shown)
    inside = shown.pts[_is_inside(shown.pts, segment)]
    is_before = packets.is_key[:1].any() and shown.pts[0] <= target
    return bool(is_before and len(inside) == segment.frames and segment.start_pts in inside)


def _build_route(source: VideoSource, segment: Segment, sampling: Sampling, packets: PacketTimes) -> Route:
    shown = packets.take(packets.is_shown)
    pts = shown.number_frames(source, has_pts=segment.has_pts)
    order = np.argsort(pts, kind="stable")
    if segment.has_pts:
        order = order[_is_inside(pts[order], segment)]
    times_s = to_seconds(source, pts[order])
    wanted = choose_frames(
        times_s,
        shown.is_key[order],
        first_frame=segment.first_frame,
        end_s=segment.end_s,
        sampling=sampling,
    )
    return Route(packets, pts[order], times_s, wanted)
