"""What a run has done so far, in media: the committed units of a video count as one when all are there.

Owns the sum that ``runs`` promises: each planned medium ends as scored, failed, or done by another run.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class Counts(NamedTuple):
    """Committed units of one status: of one video (``media_uri``), or of media of one unit each (None)."""

    media_uri: str | None
    status: str
    units: int
    detections: int
    frames: int


@dataclass
class _Video:
    """A medium of several segments: how many the plan has, and what became of them."""

    planned: int
    seen: int = 0
    failed: int = 0
    elsewhere: int = 0


@dataclass
class Tally:
    """Counts media, detections, frames; and the ``seconds`` that executors took for ``pictures`` of cost."""

    videos: dict[str, _Video] = field(default_factory=dict, repr=False)
    media: Counter[str] = field(default_factory=Counter)
    elsewhere: int = 0
    detections: int = 0
    frames: int = 0
    video_s: float = 0.0
    pictures: float = 0.0
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """Count the media that this run scored or failed."""
        return self.media.total()

    @property
    def rate(self) -> float:
        """Give the cost, in pictures, that a second of scoring works off; 0 before the first."""
        return self.pictures / self.seconds if self.seconds else 0.0

    def add(self, counts: Iterable[Counts]) -> None:
        """Add units that this run committed."""
        for counted in counts:
            self.detections += counted.detections
            self.frames += counted.frames
            if counted.media_uri is None:
                self.media[counted.status] += counted.units
                continue
            video = self.videos[counted.media_uri]
            video.failed += counted.units if counted.status == "failed" else 0
            self._see(video, counted.units)

    def add_elsewhere(self, units: pa.Table) -> None:
        """Add units (``UNIT`` columns) that another run was quicker with."""
        for uri, is_part in zip(units.column("media_uri").to_pylist(), _are_parts(units), strict=True):
            if not is_part:
                self.elsewhere += 1
                continue
            self.videos[uri].elsewhere += 1
            self._see(self.videos[uri], 1)

    def _see(self, video: _Video, units: int) -> None:
        video.seen += units
        if video.seen < video.planned:
            return
        if video.elsewhere == video.planned:
            self.elsewhere += 1
        else:
            self.media["failed" if video.failed else "scored"] += 1


def open_tally(units: pa.Table) -> Tally:
    """Begin to count a plan's units (``UNIT`` columns)."""
    parts = units.filter(_are_parts(units)).group_by("media_uri").aggregate([([], "count_all")])
    planned = zip(parts.column("media_uri").to_pylist(), parts.column("count_all").to_pylist(), strict=True)
    return Tally({uri: _Video(count) for uri, count in planned})


def _are_parts(units: pa.Table) -> pa.Array:
    count = pc.struct_field(units.column("segment").combine_chunks(), "count")
    return pc.fill_null(pc.greater(count, 1), fill_value=False)
