"""Which media are to be scored, by name and age, and the rows that a listing collects.

Owns the patterns' meaning, the age rule, and the columns of a listing. Refuses to touch files: callers
bring names, sizes and times.
"""

import fnmatch
import re
from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from detector.media.filesystem import count_microseconds
from detector.settings import MediaSettings

LISTING_SCHEMA = pa.schema(
    [
        pa.field("media_uri", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("modified_at", pa.timestamp("us", tz="UTC")),
        pa.field("skip_reason", pa.string()),
    ]
)

_PER_SECOND = 1_000_000


class Selection:
    """The rules by name and age: patterns without a "/" match the name, others the whole media_uri.

    Any case matches. No include pattern at all includes everything; ``by_include`` False does, too.
    ``now`` None leaves the age out.
    """

    def __init__(self, settings: MediaSettings, now: datetime | None, *, by_include: bool = True) -> None:
        include = settings.include if by_include else []
        self._include = _Patterns(include or ["*"])
        self._exclude = _Patterns(settings.exclude)
        self._youngest_us: int | None = None
        if now is not None and settings.min_age_s > 0:
            self._youngest_us = count_microseconds(now) - round(settings.min_age_s * _PER_SECOND)

    def judge(self, media_uri: str, name: str, modified_us: int | None) -> str | None:
        """Give the first reason to skip a file: excluded, not_included, too_young; None to score it."""
        if self._exclude.match(media_uri, name):
            return "excluded"
        if not self._include.match(media_uri, name):
            return "not_included"
        if self._youngest_us is not None and modified_us is not None and modified_us > self._youngest_us:
            return "too_young"
        return None


class MediaRows:
    """The rows of a listing, as columns: each file once, the first verdict on it stands."""

    def __init__(self) -> None:
        self.offered = 0  # rows given, also those that were there
        self._keys: set[str] = set()
        self._uris: list[str] = []
        self._sizes: list[int | None] = []
        self._times_us: list[int | None] = []
        self._reasons: list[str | None] = []

    def add(
        self, key: str, media_uri: str, size_bytes: int | None, modified_us: int | None, reason: str | None
    ) -> None:
        """Add a file, unless one with the same ``key`` (its name without symbolic links) is there."""
        self.offered += 1
        if key in self._keys:
            return
        self._keys.add(key)
        self._uris.append(media_uri)
        self._sizes.append(size_bytes)
        self._times_us.append(modified_us)
        self._reasons.append(reason)

    def to_table(self) -> pa.Table:
        """Give the rows in the order they were added, in ``LISTING_SCHEMA``."""
        columns = (self._uris, self._sizes, self._times_us, self._reasons)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, LISTING_SCHEMA, strict=True)]
        return pa.Table.from_arrays(arrays, schema=LISTING_SCHEMA)


class _Patterns:
    def __init__(self, patterns: Sequence[str]) -> None:
        self._name = _compile([pattern for pattern in patterns if "/" not in pattern])
        self._path = _compile([pattern for pattern in patterns if "/" in pattern])

    def match(self, media_uri: str, name: str) -> bool:
        if self._name is not None and self._name.match(name.lower()):
            return True
        return self._path is not None and self._path.match(media_uri.lower()) is not None


def _compile(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(fnmatch.translate(p.lower()) for p in patterns)) if patterns else None
