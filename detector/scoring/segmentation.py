"""How videos become units: each is indexed on an executor and cut into segments, or refused.

Owns that stage. Reads no pixels: a demux of the file tells its frames' times and its keyframes.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql import types as t
from pyspark.sql.pandas.types import to_arrow_schema

from detector.errors import MediaError, UnexpectedMediaError
from detector.media.filesystem import FileAccess
from detector.media.video.sampling import parse_sampling
from detector.redaction import make_safe
from detector.scoring.decoders import Ask, DecodeLimits, open_decoders
from detector.scoring.indexer import Indexer, ListedVideo
from detector.scoring.units import FILE, UNIT
from detector.settings import MediaSettings

_VIDEOS_PER_TASK = 32
_SEGMENTED = t.StructType([field for field in UNIT if field.name != "score_id"])


@dataclass(frozen=True)
class Segmenter:
    """What an executor needs to index videos; travels by pickle. ``limits``: of the process it's done in."""

    access: FileAccess
    media: MediaSettings
    limits: DecodeLimits | None

    def segment(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give the segments of each video of plan batches; one row with an error for one without any."""
        schema = to_arrow_schema(_SEGMENTED)
        ask = open_decoders(self._build_indexer(), self.limits)
        for batch in batches:
            for video in batch.to_pylist():
                yield pa.RecordBatch.from_pylist(self._explain(ask, video), schema=schema)

    def _explain(self, ask: Ask, video: dict[str, Any]) -> list[dict[str, Any]]:
        empty = dict.fromkeys(_SEGMENTED.names) | video
        try:
            return [empty | segment for segment in _cut(ask, video)]
        except MediaError as error:
            refused = error
        except Exception as error:  # noqa: BLE001 (whatever a demuxer raises is this file's row, not the job's end)
            refused = UnexpectedMediaError(make_safe(f"{type(error).__name__}: {error}")[:500])
        size = {"width_px": refused.width_px, "height_px": refused.height_px}
        return [empty | size | {"error_class": refused.error_class(), "error_message": str(refused)}]

    def _build_indexer(self) -> Indexer:
        video = self.media.video
        return Indexer(
            access=self.access,
            follow_symlinks=self.media.follow_symlinks,
            max_pixels=self.media.max_pixels,
            sampling=parse_sampling(video.sample),
            stream=video.stream,
            segment_s=video.segment_s,
            start_s=video.start_s,
            end_s=video.end_s,
        )


def _cut(ask: Ask, video: dict[str, Any]) -> Iterator[dict[str, Any]]:
    listed = ListedVideo(video["media_uri"], video["size_bytes"], video["modified_at"])
    for size, segments in ask(listed, video["size_bytes"]):
        for segment in json.loads(bytes(segments)):
            yield {"segment": segment, **size}


def cut_videos(videos: DataFrame, count: int, segmenter: Segmenter, slots: int) -> DataFrame:
    """Cut videos (``FILE`` columns) into rows of ``UNIT`` without score_id; no action runs."""
    tasks = max(1, min(count, max(slots, count // _VIDEOS_PER_TASK)))

    def segment(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        yield from segmenter.segment(batches)

    return videos.select(*FILE.names).repartition(tasks, sf.col("media_uri")).mapInArrow(segment, _SEGMENTED)
