"""The frames of a segment as pictures, in presentation order, each with its number and its time.

Owns the decoding. Seeks to keyframes alone, and decodes what the sampling needs; damage is told after all
that could be decoded has been given.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame as DecodedFrame

from detector.boxes import Letterbox
from detector.errors import DamagedVideoError, TooManyPixelsError
from detector.media.video.container import VideoSource, explain, open_video
from detector.media.video.conversion import FrameConverter, PixelArray
from detector.media.video.feeding import Feed, plan_feed
from detector.media.video.index import number_frames, to_seconds
from detector.media.video.packets import PacketFacts, read_packets
from detector.media.video.sampling import Sampling, choose_frames
from detector.media.video.scenes import SceneChange
from detector.media.video.segments import Segment

# Decoders that obey packet by packet. dav1d does at its start alone; what HEVC calls a non-reference frame
# is none of its own temporal layer only.
_SKIPPING = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4", "vp8"})
# Program streams give some frames their times only; the others' depend on where one begins to read.
_WITHOUT_EACH_TIME = frozenset({"mpeg"})
_STEPS_BACK_S = (0.0, 1.0, 10.0)  # where a container seeks badly; then from the file's start


@dataclass(frozen=True)
class VideoFrame:
    """One frame: its number in presentation order, its time in seconds from the file's start, its picture.

    ``pixels`` is uint8 [H, W, 3] RGB, upright, in square pixels; ``letterbox`` how it lies on the canvas, if
    there is one; ``width_px`` and ``height_px`` the upright size before that.
    """

    frame_index: int
    time_s: float
    pixels: PixelArray
    letterbox: Letterbox | None
    width_px: int
    height_px: int


@dataclass(frozen=True)
class _Route:
    """Where to begin (as ``_open_at``), the packets from there, and the segment's frames."""

    place: tuple[int, float | None]
    facts: list[PacketFacts | None]
    pts: list[int]
    times_s: list[float]
    is_wanted: list[bool]


def read_frames(
    file: BinaryIO,
    segment: Segment,
    *,
    sampling: Sampling,
    canvas_hw: tuple[int, int] | None,
    stream: int | None = None,
    max_pixels: int,
    codec_threads: int = 1,
) -> Iterator[VideoFrame]:
    """Give the wanted frames of a segment of the video in a seekable binary file.

    Memory does not depend on the video's length. Raises as ``open_video``, ``TooManyPixelsError`` where a
    frame has more than ``max_pixels``, and, after the last frame that could be decoded,
    ``DamagedVideoError`` with the second where the damage begins.
    """
    damage = _Damage(segment.damage)
    if segment.frames:
        route = _find_route(file, segment, sampling, stream=stream, max_pixels=max_pixels)
        with _open_at(file, *route.place, stream=stream, max_pixels=max_pixels) as source:
            source.stream.codec_context.thread_count = codec_threads
            source.stream.codec_context.thread_type = "AUTO" if codec_threads > 1 else "NONE"
            yield from _Reader(source, segment, sampling, canvas_hw, max_pixels, damage).read(route)
    damage.raise_if_any()


class _Damage:
    """The first damage met, and how many wanted frames came."""

    def __init__(self, known: str | None) -> None:
        self._known = known
        self.wanted = 0
        self.given = 0

    def add(self, what: str, at_s: float | None) -> None:
        """Remember the first."""
        self._known = self._known or (what if at_s is None else f"{what}, at {at_s:.3f} s")

    def raise_if_any(self) -> None:
        if self._known is not None:
            raise DamagedVideoError(
                f"{self._known}; {self.given} of {self.wanted} wanted frames were decoded"
            )


class _Reader:
    """Decodes one segment along its route."""

    def __init__(
        self,
        source: VideoSource,
        segment: Segment,
        sampling: Sampling,
        canvas_hw: tuple[int, int] | None,
        max_pixels: int,
        damage: _Damage,
    ) -> None:
        self._source, self._segment, self._max_pixels, self._damage = source, segment, max_pixels, damage
        self._scenes = SceneChange() if sampling.kind == "scenes" else None
        self._converter = FrameConverter(source.stream.sample_aspect_ratio, canvas_hw)

    def read(self, route: _Route) -> Iterator[VideoFrame]:
        """Give the wanted frames; count them, and note what of them is missing."""
        places = {pts: place for place, pts in enumerate(route.pts)}
        missing = {place for place, is_wanted in enumerate(route.is_wanted) if is_wanted}
        self._damage.wanted = self._segment.frames_expected or len(missing)
        for frame, pts in self._number(self._decode(route), route):
            place = places.get(pts)
            is_new_scene = self._scenes is None or self._scenes.look(frame)
            if place is None or place not in missing:
                continue
            if frame.is_corrupt:
                self._damage.add("a frame is corrupt", route.times_s[place])
                continue
            missing.discard(place)
            self._damage.given += 1
            if is_new_scene:
                yield self._build_frame(frame, self._segment.first_frame + place, route.times_s[place])
        if missing:
            self._damage.add("a frame can't be decoded", route.times_s[min(missing)])

    def _number(self, frames: Iterator[DecodedFrame], route: _Route) -> Iterator[tuple[DecodedFrame, int]]:
        """Give each frame its presentation time; without any in the container, frames are counted."""
        if self._segment.has_pts:
            yield from ((frame, frame.pts) for frame in frames if frame.pts is not None)
        else:
            yield from zip(frames, route.pts, strict=False)

    def _decode(self, route: _Route) -> Iterator[DecodedFrame]:
        stream, feed = self._source.stream, self._plan(route)
        last = max((place for place, is_fed in enumerate(feed.decode) if is_fed), default=-1)
        skips = stream.codec_context.name in _SKIPPING
        for place, (packet, found) in enumerate(islice(_read_calmly(self._source), last + 1)):
            if not feed.decode[place]:
                continue
            if feed.begin_anew[place]:
                yield from self._try(None)
                stream.codec_context.flush_buffers()
            # A frame that no other refers to need not be decoded unless it's wanted.
            if skips:
                stream.codec_context.skip_frame = "DEFAULT" if feed.wanted[place] else "NONREF"
            yield from self._try(packet, found)
        yield from self._try(None)

    def _plan(self, route: _Route) -> Feed:
        if self._scenes is not None or not self._segment.has_pts:
            everything = [True] * len(route.facts)
            return Feed(everything, [False] * len(route.facts), everything)
        wanted = {pts for pts, is_wanted in zip(route.pts, route.is_wanted, strict=True) if is_wanted}
        return plan_feed(route.facts, wanted)

    def _try(self, packet: Packet[Any] | None, found: PacketFacts | None = None) -> list[DecodedFrame]:
        try:
            return list(self._source.stream.codec_context.decode(packet))
        except av.EOFError:
            return []
        except av.FFmpegError as error:
            at_s = None if found is None or found.pts is None else self._source.tell_time_s(found.pts)
            if not self._source.stream.codec_context.width:  # FFmpeg has refused the size
                raise TooManyPixelsError(
                    f"frames of more than media.max_pixels = {self._max_pixels:,} begin at {at_s or 0:.3f} s"
                ) from error
            self._damage.add(f"a frame can't be decoded: {explain(error)}", at_s)
            return []

    def _build_frame(self, frame: DecodedFrame, frame_index: int, time_s: float) -> VideoFrame:
        picture = self._converter.convert(frame)
        return VideoFrame(
            frame_index, time_s, picture.pixels, picture.letterbox, picture.width_px, picture.height_px
        )


def _find_route(
    file: BinaryIO, segment: Segment, sampling: Sampling, *, stream: int | None, max_pixels: int
) -> _Route:
    """Demux the segment, from the last keyframe that leads to all of its frames."""
    scenes_before = sampling.kind == "scenes" and segment.first_frame > 0
    target = segment.start_pts - (1 if scenes_before else 0)  # the frame before the border is looked at, too
    steps_s = () if segment.first_frame == 0 or not segment.has_pts else _STEPS_BACK_S
    for step_s in (*steps_s, None):
        with _open_at(file, target, step_s, stream=stream, max_pixels=max_pixels) as source:
            facts = _collect(source, segment)
            is_exact = source.container.format.name not in _WITHOUT_EACH_TIME
            if step_s is None or (is_exact and _leads_to(facts, segment, target)):
                return _build_route(source, segment, sampling, (target, step_s), facts)
    raise AssertionError("unreachable: the file's start leads everywhere")


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


def _read_calmly(source: VideoSource) -> Iterator[tuple[Packet[Any], PacketFacts | None]]:
    """Give packets; a container that breaks off ends."""
    with suppress(av.FFmpegError):  # the index has met the same and tells it
        yield from read_packets(source)


def _collect(source: VideoSource, segment: Segment) -> list[PacketFacts | None]:
    """Read facts until all frames of the segment are among them."""
    facts: list[PacketFacts | None] = []
    seen = 0
    for _, found in _read_calmly(source):
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
) -> _Route:
    shown = [found for found in facts if found is not None]
    numbered = sorted(
        zip(number_frames(source, shown, has_pts=segment.has_pts), (f.is_key for f in shown), strict=True)
    )
    if segment.has_pts:
        numbered = [(pts, is_key) for pts, is_key in numbered if _is_inside(pts, segment)]
    pts, keys = [pts for pts, _ in numbered], [is_key for _, is_key in numbered]
    times_s = to_seconds(source, np.array(pts, np.int64))
    wanted = choose_frames(
        times_s,
        np.array(keys, bool),
        first_frame=segment.first_frame,
        end_s=segment.end_s,
        sampling=sampling,
    )
    return _Route(place, facts, pts, times_s.tolist(), wanted.tolist())
