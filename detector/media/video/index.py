"""A video's index: when each frame is shown and which are keyframes, read without decoding.

Owns what is known of a video before its frames are decoded: the numbering of its frames, its upright size,
and whether it breaks off. One frame is decoded, for its rotation.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from detector.errors import DamagedVideoError
from detector.media.video.clock import PacketCollector, PacketTimes, to_seconds
from detector.media.video.completeness import Completeness
from detector.media.video.container import VideoSource, explain, open_video
from detector.media.video.packets import read_facts

_FIRST_PACKETS = 100  # in which some frame must be decodable


@dataclass(frozen=True)
class VideoIndex:
    """The frames of a video in presentation order, as their packets tell.

    ``pts`` int64 [N] in the stream's time base, ``times_s`` float64 [N] from the file's start,
    ``is_keyframe`` bool [N]; ``end_s`` when the last frame has been shown. ``has_pts`` is False where the
    container does not tell when frames are shown: then the times are those of decoding, sorted, and the
    video can't be cut. ``width_px`` and ``height_px`` are those of the upright picture in square pixels.
    ``damage`` says what is wrong and from ``damaged_at_s`` on, with ``announced_frames`` and
    ``announced_end_s`` as the header has them.
    """

    codec: str
    width_px: int
    height_px: int
    pts: NDArray[np.int64]
    times_s: NDArray[np.float64]
    is_keyframe: NDArray[np.bool_]
    end_s: float
    has_pts: bool
    announced_frames: int | None
    announced_end_s: float | None
    damage: str | None
    damaged_at_s: float | None


@dataclass(frozen=True)
class _Demuxed:
    """What the packets tell, the first one if a decoder may begin with it, and what the demuxer met."""

    times: PacketTimes
    first_key: Packet[Any] | None
    damage: str | None
    damaged_at: int | None


def read_index(file: BinaryIO, *, stream: int | None = None, max_pixels: int) -> VideoIndex:
    """Read the index of the video in a seekable binary file; errors as ``open_video``.

    ``DamagedVideoError`` too when no frame at all can be decoded.
    """
    with open_video(file, stream=stream, max_pixels=max_pixels) as source:
        completeness = Completeness(source)
        demuxed = _demux(source, completeness)
        has_pts = demuxed.times.has_pts(source)
        frame = _decode_alone(source, demuxed, has_pts)
        if frame is None:
            file.seek(0)
            with open_video(file, stream=stream, max_pixels=max_pixels) as again:
                frame = _decode_first(again)
        times = demuxed.times
        demuxed = replace(demuxed, times=_drop_undecodable(times, frame.pts) if has_pts else times)
        return _build_index(source, demuxed, has_pts, frame, completeness, file)


def compute_upright_size(frame: VideoFrame, sample_aspect_ratio: Fraction | None) -> tuple[int, int]:
    """Compute (width, height) in square pixels of a frame as it's shown: pixel shape, then rotation."""
    width_px = max(1, round(frame.width * (sample_aspect_ratio or 1)))
    return (frame.height, width_px) if frame.rotation % 180 else (width_px, frame.height)


def _decode_alone(source: VideoSource, demuxed: _Demuxed, has_pts: bool) -> VideoFrame | None:
    """Decode the first keyframe, where it is the first frame that is shown, too."""
    packet, pts = demuxed.first_key, demuxed.times.pts
    if packet is None or (has_pts and pts.min() < pts[0]):
        return None
    context = source.stream.codec_context
    context.thread_type = "NONE"
    with suppress(av.FFmpegError):  # another frame may be decodable
        frames = [*context.decode(packet), *context.decode(None)]
        return frames[0] if frames else None
    return None


def _decode_first(source: VideoSource) -> VideoFrame:
    failure: Exception | None = None
    source.stream.codec_context.thread_type = "NONE"
    try:
        for number, packet in enumerate(source.container.demux(source.stream)):
            try:
                for frame in packet.decode():
                    return frame
            except av.FFmpegError as error:
                failure = failure or error
            if number >= _FIRST_PACKETS:
                break
    except av.FFmpegError as error:
        failure = failure or error
    reason = "" if failure is None else f": {explain(failure)}"
    raise DamagedVideoError(f"no frame can be decoded, at 0.0 s{reason}") from failure


def _demux(source: VideoSource, completeness: Completeness) -> _Demuxed:
    collector, first_key, is_first = PacketCollector(), None, True
    damage, damaged_at, latest = None, None, None
    try:
        for packet, found in read_facts(source, watch=completeness.watch):
            if is_first:
                first_key, is_first = packet if found is not None and found.is_key else None, False
            if found is None:
                continue
            collector.add(found)
            latest = found.dts if found.pts is None else found.pts
            if found.is_corrupt and damage is None:
                damage, damaged_at = "a packet is corrupt", latest
    except av.FFmpegError as error:
        if damage is None:
            damage, damaged_at = f"the container can't be read on: {explain(error)}", latest
    return _Demuxed(collector.give(), first_key, damage, damaged_at)


def _drop_undecodable(times: PacketTimes, first_pts: int | None) -> PacketTimes:
    """Leave out the first frames where they refer to ones before the file: the decoder began later."""
    begin = times.pts[0] if first_pts is None else min(times.pts[0], first_pts)
    return times.take(times.pts >= begin)


def _build_index(
    source: VideoSource,
    demuxed: _Demuxed,
    has_pts: bool,
    frame: VideoFrame,
    completeness: Completeness,
    file: BinaryIO,
) -> VideoIndex:
    times, size_px = demuxed.times, compute_upright_size(frame, source.stream.sample_aspect_ratio)
    pts = times.number_frames(source, has_pts=has_pts)
    order = np.argsort(pts, kind="stable")
    times_s = to_seconds(source, pts[order])
    end_s = _find_end_s(source, pts[order], times.durations[order], times_s)
    damage, damaged_at_s = _explain_damage(source, demuxed, end_s, completeness, file)
    return VideoIndex(
        codec=source.stream.codec_context.name,
        width_px=size_px[0],
        height_px=size_px[1],
        pts=pts[order],
        times_s=times_s,
        is_keyframe=times.is_key[order],
        end_s=end_s,
        has_pts=has_pts,
        announced_frames=completeness.announced_frames,
        announced_end_s=completeness.announced_end_s,
        damage=damage,
        damaged_at_s=damaged_at_s,
    )


def _find_end_s(
    source: VideoSource,
    pts: NDArray[np.int64],
    durations: NDArray[np.int64],
    times_s: NDArray[np.float64],
) -> float:
    if not len(pts):
        return 0.0
    if durations[-1]:
        return float(to_seconds(source, pts[-1:] + durations[-1])[0])
    spacing = np.diff(times_s)
    return float(times_s[-1] + (np.median(spacing) if len(spacing) else 0.0))


def _explain_damage(
    source: VideoSource, demuxed: _Demuxed, end_s: float, completeness: Completeness, file: BinaryIO
) -> tuple[str | None, float | None]:
    if not len(demuxed.times.pts):
        return "there is no frame", 0.0
    breaks_off = completeness.explain(file, len(demuxed.times.pts), end_s, demuxed.damage)
    if breaks_off is not None:
        return breaks_off, end_s
    at_s = None if demuxed.damaged_at is None else source.tell_time_s(demuxed.damaged_at)
    return demuxed.damage, at_s
