"""A video's segments, found by a demux of the file: what a limited process does before anything is decoded.

Owns what of the settings that needs; knows nothing of Spark.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from detector.media.filesystem import FileAccess, open_content
from detector.media.video.index import read_index
from detector.media.video.sampling import Sampling
from detector.media.video.segments import cut_into_segments
from detector.scoring.loader import watch_file


@dataclass(frozen=True)
class ListedVideo:
    """A video as it was listed."""

    media_uri: str
    size_bytes: int | None
    modified_at: datetime | None


@dataclass(frozen=True)
class Indexer:
    """How videos are indexed and cut; the settings are those of ``media.video``."""

    access: FileAccess
    follow_symlinks: bool
    max_pixels: int
    sampling: Sampling
    stream: int | None
    segment_s: float
    start_s: float
    end_s: float | None

    def serve(
        self, video: ListedVideo, tell_busy: Callable[[], None]
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Give one item: width_px and height_px, and the JSON of a list of ``Segment``.

        Raises ``MediaError``.
        """
        with open_content(
            video.media_uri,
            size_bytes=video.size_bytes,
            modified_at=video.modified_at,
            access=self.access,
            follow_symlinks=self.follow_symlinks,
        ) as file:
            watched = watch_file(file, tell_busy)
            index = read_index(watched, stream=self.stream, max_pixels=self.max_pixels)
        segments = cut_into_segments(
            index,
            segment_s=self.segment_s,
            start_s=self.start_s,
            end_s=self.end_s,
            sampling=self.sampling,
        )
        size = {"width_px": index.width_px, "height_px": index.height_px}
        yield size, json.dumps([asdict(segment) for segment in segments]).encode()
