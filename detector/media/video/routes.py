"""The way to a segment's frames: where to begin reading, which packets follow, and which frames are wanted.

Owns seeking. Trusts no container's seek: whether it led before the segment, and to all of its frames, is
checked, and the file's start is the last resort.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import numpy as np
from av.packet import Packet

from detector.media.video.clock import PacketCollector, to_seconds
from detector.media.video.container import VideoSource, open_video
from detector.media.video.packets import PacketFacts, read_packets
from detector.media.video.sampling import Sampling, choose_frames
from detector.media.video.segments import Segment

# Program streams give some frames their times only; the others' depend on where one begins to read.
_WITHOUT_EACH_TIME = frozenset({"mpeg"})
_STEPS_BACK_S = (0.0, 1.0, 10.0)  # where a container seeks badly; then from the file's start


@dataclass(frozen=True)
class Route:
    """Where to begin (as ``open_at``), the packets from there, and the segment's frames."""

    place: tuple[int, float | None]
    facts: list[PacketFacts | None]
    pts: list[int]
    times_s: list[float]
    is_wanted: list[bool]


def find_route(
    file: BinaryIO, segment: Segment, sampling: Sampling, *, stream: int | None, max_pixels: int
) -> Route:
    """Demux the segment, from the last keyframe that leads to all of its frames."""
    scenes_before = sampling.kind == "scenes" and segment.first_frame > 0
    target = segment.start_pts - (1 if scenes_before else 0)  # the frame before the border is looked at, too
    steps_s = () if segment.first_frame == 0 or not segment.has_pts else _STEPS_BACK_S
    for step_s in (*steps_s, None):
        with open_at(file, target, step_s, stream=stream, max_pixels=max_pixels) as source:
            facts = _collect(source, segment)
            is_exact = source.container.format.name not in _WITHOUT_EACH_TIME
            if step_s is None or (is_exact and _leads_to(facts, segment, target)):
                return _build_route(source, segment, sampling, (target, step_s), facts)
    raise AssertionError("unreachable: the file's start leads everywhere")


@contextmanager
def open_at(
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


def read_calmly(source: VideoSource) -> Iterator[tuple[Packet[Any], PacketFacts | None]]:
    """Give packets; a container that breaks off ends."""
    with suppress(av.FFmpegError):  # the index has met the same and tells it
        yield from read_packets(source)


def _collect(source: VideoSource, segment: Segment) -> list[PacketFacts | None]:
    """Read facts until all frames of the segment are among them."""
    facts: list[PacketFacts | None] = []
    seen = 0
    for _, found in read_calmly(source):
        facts.append(found)
        seen += found is not None and (not segment.has_pts or _is_inside(found.pts, segment))
        if segment.has_pts and seen == segment.frames:
            break
    return facts


def _is_inside(pts: int | None, segment: Segment) -> bool:
    return pts is not None and segment.start_pts <= pts and (segment.end_pts is None or pts < segment.end_pts)


def _leads_to(facts: Sequence[PacketFacts | None], segment: Segment, target: int) -> bool:
    first = facts[0] if facts else None
    inside = [found.pts for found in facts if found is not None and _is_inside(found.pts, segment)]
    is_before = first is not None and first.is_key and first.pts is not None and first.pts <= target
    return is_before and len(inside) == segment.frames and segment.start_pts in inside


def _build_route(
    source: VideoSource,
    segment: Segment,
    sampling: Sampling,
    place: tuple[int, float | None],
    facts: list[PacketFacts | None],
) -> Route:
    times = PacketCollector(found for found in facts if found is not None).give()
    pts = times.number_frames(source, has_pts=segment.has_pts)
    order = np.argsort(pts, kind="stable")
    if segment.has_pts:
        order = order[[_is_inside(shown_at, segment) for shown_at in pts[order].tolist()]]
    times_s = to_seconds(source, pts[order])
    wanted = choose_frames(
        times_s,
        times.is_key[order],
        first_frame=segment.first_frame,
        end_s=segment.end_s,
        sampling=sampling,
    )
    return Route(place, facts, pts[order].tolist(), times_s.tolist(), wanted.tolist())
