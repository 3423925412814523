"""Cutting a video at keyframes into segments that executors score one by one.

Owns the cut. The union of the segments' frames is every frame of the range, each once.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from detector.media.video.index import VideoIndex
from detector.media.video.sampling import Sampling, choose_frames

_TOLERANCE_S = 1e-6


@dataclass(frozen=True)
class Segment:
    """Successive frames of a video: those shown from ``start_pts`` to before ``end_pts`` (None: to the end).

    ``start_s`` and ``end_s`` are the same in seconds from the file's start; ``first_frame`` is the
    frame_index of the first of its ``frames``; ``frames_expected`` counts those that the sampling wants
    (None: only decoding tells), also those that the header announces and the file lacks. ``damage`` is
    what the index says is wrong in this segment. ``has_pts`` as in ``VideoIndex``.
    """

    index: int
    count: int
    start_s: float
    end_s: float
    first_frame: int
    frames: int
    start_pts: int
    end_pts: int | None
    frames_expected: int | None
    has_pts: bool
    damage: str | None


def cut_into_segments(
    index: VideoIndex,
    *,
    segment_s: float,
    start_s: float,
    end_s: float | None,
    sampling: Sampling,
) -> list[Segment]:
    """Cut the frames shown from ``start_s`` to before ``end_s`` at keyframes.

    Each segment is at least ``segment_s`` long, a rest shorter than half of that joins the one before it;
    never fewer than one segment, which may be without frames.
    """
    # A stream's first frames may be shown before what its container calls the start.
    first = int(np.searchsorted(index.times_s, start_s - _TOLERANCE_S)) if start_s else 0
    last = len(index.times_s) if end_s is None else int(np.searchsorted(index.times_s, end_s - _TOLERANCE_S))
    last = max(first, last)
    bounds = _choose_bounds(index, first, last, segment_s)
    cuts = list(pairwise(bounds))
    return [
        _build_segment(index, number, len(cuts), begin, end, start_s, sampling)
        for number, (begin, end) in enumerate(cuts)
    ]


def _choose_bounds(index: VideoIndex, first: int, last: int, segment_s: float) -> list[int]:
    bounds = [first]
    if index.has_pts:
        for place in np.flatnonzero(index.is_keyframe[first:last]) + first:
            if index.times_s[place] - index.times_s[bounds[-1]] >= segment_s - _TOLERANCE_S:
                bounds.append(int(place))
    rest_s = _end_of(index, last) - index.times_s[bounds[-1]] if last > first else 0.0
    if len(bounds) > 1 and rest_s < segment_s / 2:
        bounds.pop()
    return [*bounds, last]


def _build_segment(
    index: VideoIndex, number: int, count: int, begin: int, end: int, start_s: float, sampling: Sampling
) -> Segment:
    is_last = end == len(index.times_s)
    end_s = _end_of(index, end)
    times_s = index.times_s[begin:end]
    wanted = choose_frames(
        times_s, index.is_keyframe[begin:end], first_frame=begin, end_s=end_s, sampling=sampling
    )
    missing = _count_missing(index, sampling) if is_last and number == count - 1 else 0
    return Segment(
        index=number,
        count=count,
        start_s=float(times_s[0]) if end > begin else start_s,
        end_s=end_s if end > begin else start_s,
        first_frame=begin,
        frames=end - begin,
        start_pts=int(index.pts[begin]) if end > begin else 0,
        end_pts=None if is_last else int(index.pts[end]),
        frames_expected=None if sampling.kind == "scenes" else int(wanted.sum()) + missing,
        has_pts=index.has_pts,
        damage=_find_damage(index, begin, end) if end > begin or is_last else None,
    )


def _end_of(index: VideoIndex, place: int) -> float:
    return float(index.times_s[place]) if place < len(index.times_s) else index.end_s


def _count_missing(index: VideoIndex, sampling: Sampling) -> int:
    """Count the wanted frames that the header announces behind the last one that is there."""
    found, announced, value = len(index.times_s), index.announced_frames, sampling.value
    if index.damage is None:
        return 0
    if sampling.kind == "fps" and value and index.announced_end_s is not None:
        ends = np.ceil(np.array([index.end_s, index.announced_end_s]) * value - _TOLERANCE_S)
        return max(0, int(ends[1] - ends[0]))
    if announced is None or announced < found or sampling.kind not in {"every_frame", "every_n"}:
        return 0
    step = int(value or 1)
    return -(-announced // step) + (found // -step)


def _find_damage(index: VideoIndex, begin: int, end: int) -> str | None:
    """Give the damage where it lies between two frames: from its second to the file's end it's the last's."""
    if index.damage is None:
        return None
    at_s = index.end_s if index.damaged_at_s is None else index.damaged_at_s
    begins_before = begin == 0 or index.times_s[begin] <= at_s
    ends_after = end == len(index.times_s) or at_s < index.times_s[end]
    return f"{index.damage}, at {at_s:.3f} s" if begins_before and ends_after else None
