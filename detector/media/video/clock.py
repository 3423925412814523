"""A video's clock: when its frames are shown, as far as its packets tell.

Owns the step from packets' times to frames' times, and what stands in where a container knows only when
frames are decoded. A frame's time is never guessed from another stream or from the file's name.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from detector.media.video.container import VideoSource
from detector.media.video.packets import PacketFacts

_UNKNOWN = np.iinfo(np.int64).min


@dataclass(frozen=True)
class PacketTimes:
    """Columns of a video's packets, in decoding order, in the stream's time base.

    ``pts``, ``dts`` and ``durations`` are int64 [N], ``is_key`` and ``is_shown`` bool [N]; a time that isn't
    known is the least int64, as are those of packets that aren't shown.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    durations: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    is_shown: NDArray[np.bool_]

    def take(self, chosen: NDArray[np.bool_]) -> "PacketTimes":
        """Give the packets of a mask, bool [N]."""
        return PacketTimes(
            self.pts[chosen],
            self.dts[chosen],
            self.durations[chosen],
            self.is_key[chosen],
            self.is_shown[chosen],
        )

    def has_pts(self, source: VideoSource) -> bool:
        """Tell whether the container knows when frames are shown: each at a time of its own.

        Files that were put one behind the other begin their clock anew, and don't.
        """
        known_dts = self.dts[self.dts != _UNKNOWN]
        if not len(self.pts) or (self.pts == _UNKNOWN).any() or not _is_rising(known_dts):
            return False
        # AVI counts frames as they are decoded; for the codecs that FFmpeg knows, it puts them in order.
        is_counted = source.container.format.name == "avi" and source.stream.codec_context.has_b_frames
        return len(np.unique(self.pts)) == len(self.pts) and not (is_counted and _is_rising(self.pts))

    def number_frames(self, source: VideoSource, *, has_pts: bool) -> NDArray[np.int64]:
        """Give each packet's presentation time, int64 [N], or its next best: decoding time, nominal rate."""
        known = np.where(self.pts == _UNKNOWN, self.dts, self.pts)
        if has_pts or ((known != _UNKNOWN).all() and _is_rising(known)):
            return known
        rate = source.stream.average_rate or source.stream.guessed_rate or Fraction(25)
        return np.arange(len(known), dtype=np.int64) * max(1, round(1 / (rate * source.time_base)))


class PacketCollector:
    """Collects packets' facts into columns: long files have many."""

    def __init__(self, found: Iterable[PacketFacts | None] = ()) -> None:
        self._pts, self._dts, self._durations = array("q"), array("q"), array("q")
        self._is_key, self._is_shown = bytearray(), bytearray()
        for facts in found:
            self.add(facts)

    def add(self, found: PacketFacts | None) -> None:
        """Add the next packet in decoding order; None is one that isn't shown."""
        pts, dts = (None, None) if found is None else (found.pts, found.dts)
        self._pts.append(_UNKNOWN if pts is None else pts)
        self._dts.append(_UNKNOWN if dts is None else dts)
        self._durations.append(0 if found is None else found.duration)
        self._is_key.append(found is not None and found.is_key)
        self._is_shown.append(found is not None)

    def give(self) -> PacketTimes:
        """Give all that were added; none can be added afterwards."""
        pts, dts, durations = (np.frombuffer(c, np.int64) for c in (self._pts, self._dts, self._durations))
        is_key, is_shown = (np.frombuffer(c, np.bool_) for c in (self._is_key, self._is_shown))
        return PacketTimes(pts, dts, durations, is_key, is_shown)


def to_seconds(source: VideoSource, pts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn int64 [N] presentation times into float64 [N] seconds from the file's start."""
    base, start = source.time_base, source.start_s
    # One division of whole numbers: 0.1 s is 0.1, in every segment the same.
    denominator = base.denominator * start.denominator
    numerator = pts * (base.numerator * start.denominator) - start.numerator * base.denominator
    return np.asarray(numerator / denominator, np.float64)


def _is_rising(times: NDArray[np.int64]) -> bool:
    return bool((times[1:] >= times[:-1]).all())
