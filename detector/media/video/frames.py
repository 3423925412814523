"""The frames of a segment as pictures, in presentation order, each with its number and its time.

Owns the decoding. Seeks to keyframes alone, and decodes what the sampling needs; damage is told after all
that could be decoded has been given.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame as DecodedFrame

from detector.boxes import Letterbox
from detector.errors import DamagedVideoError, TooManyPixelsError
from detector.media.video.container import VideoSource, explain
from detector.media.video.conversion import FrameConverter, PixelArray
from detector.media.video.feeding import Feed, feed_all, plan_feed
from detector.media.video.routes import Packets, Route, open_route
from detector.media.video.sampling import Sampling
from detector.media.video.scenes import SceneChange
from detector.media.video.segments import Segment

# Decoders that obey packet by packet. dav1d does at its start alone; what HEVC calls a non-reference frame
# is none of its own temporal layer only.
_SKIPPING = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4", "vp8"})


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
        with open_route(file, segment, sampling, stream=stream, max_pixels=max_pixels) as found:
            source, route, packets = found
            source.stream.codec_context.thread_count = codec_threads
            source.stream.codec_context.thread_type = "AUTO" if codec_threads > 1 else "NONE"
            reader = _Reader(source, segment, sampling, canvas_hw, max_pixels, damage)
            yield from reader.read(route, packets)
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

    def read(self, route: Route, packets: Packets) -> Iterator[VideoFrame]:
        """Give the wanted frames; count them, and note what of them is missing."""
        missing = route.is_wanted.copy()
        self._damage.wanted = self._segment.frames_expected or int(missing.sum())
        for frame, place in self._number(self._decode(route, packets), route):
            is_new_scene = self._scenes is None or self._scenes.look(frame)
            if place is None or not missing[place]:
                continue
            if frame.is_corrupt:
                self._damage.add("a frame is corrupt", route.times_s[place])
                continue
            missing[place] = False
            self._damage.given += 1
            if is_new_scene:
                yield self._build_frame(frame, self._segment.first_frame + place, float(route.times_s[place]))
        if missing.any():
            self._damage.add("a frame can't be decoded", route.times_s[missing.argmax()])
        if len(route.pts) < self._segment.frames:
            self._damage.add("the file gives fewer frames than its index had", self._segment.start_s)

    def _number(
        self, frames: Iterator[DecodedFrame], route: Route
    ) -> Iterator[tuple[DecodedFrame, int | None]]:
        """Give each frame its place in the route, None outside; without times in the container, count."""
        if not self._segment.has_pts:
            yield from zip(frames, range(len(route.pts)), strict=False)
            return
        for frame in frames:
            if frame.pts is not None:
                place = int(np.searchsorted(route.pts, frame.pts))
                is_inside = place < len(route.pts) and route.pts[place] == frame.pts
                yield frame, place if is_inside else None

    def _decode(self, route: Route, packets: Packets) -> Iterator[DecodedFrame]:
        context, feed = self._source.stream.codec_context, self._plan(route)
        skips = context.name in _SKIPPING
        for place, packet in enumerate(islice(packets, feed.count_needed())):
            if not feed.decode[place]:
                continue
            if feed.begin_anew[place]:
                yield from self._try(None)
                context.flush_buffers()
            # A frame that no other refers to need not be decoded unless it's wanted.
            if skips:
                context.skip_frame = "DEFAULT" if feed.wanted[place] else "NONREF"
            yield from self._try(packet)
        yield from self._try(None)

    def _plan(self, route: Route) -> Feed:
        if self._scenes is not None or not self._segment.has_pts:
            return feed_all(len(route.packets.pts))
        return plan_feed(route.packets, route.pts[route.is_wanted])

    def _try(self, packet: Packet[Any] | None) -> list[DecodedFrame]:
        try:
            return list(self._source.stream.codec_context.decode(packet))
        except av.EOFError:
            return []
        except av.FFmpegError as error:
            at_s = None if packet is None or packet.pts is None else self._source.tell_time_s(packet.pts)
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
