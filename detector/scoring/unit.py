"""A unit of work: what one row of ``scores`` will be about.

Owns the type alone, without Spark: it travels to the processes that decode.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from detector.media.video.segments import Segment


@dataclass(frozen=True)
class Unit:
    """One thing to score: the file as it was listed, and the key its row gets.

    A video has a ``segment`` and the (width, height) of its upright picture, or the class and message of
    the ``refusal`` that its index ended with.
    """

    score_id: str
    media_uri: str
    media_kind: Literal["image", "video"]
    size_bytes: int | None
    modified_at: datetime | None
    attempt: int
    segment: Segment | None = None
    size_px: tuple[int, int] | None = None
    refusal: tuple[str, str] | None = None
