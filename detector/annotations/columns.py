"""Annotations as columns: 100,000 pictures in some megabytes, which are sent between processes as they are.

Owns the arrays, and the way to and from ``Annotation`` and ``Box``, which are made only while somebody looks
at them. Refuses nothing; opens no files.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from detector.annotations.annotation import Annotation, Box
from detector.annotations.rows import FLAGS, UNKNOWN, AnnotationRows

_BLOCK = 1024  # annotations that are made at once
_ALL = slice(None)


class AnnotationColumns(Sequence[Annotation]):
    """A annotations with B boxes, equal to a tuple of the same; nobody may write to the arrays.

    ``images`` and ``sources`` are paths with "/" [A], None where there is none. ``size_wh_px`` int64 [A, 2],
    0 where a size is not told, and ``verified`` bool [A] are of annotations. Of boxes, which stand in the
    annotations' order: ``xyxy_px`` float64 [B, 4] edges; ``owner`` int64 [B], the annotation's position;
    ``label`` int32 [B], a position in ``labels``, which are the names that occur, sorted; ``flags`` bool
    [B, 3] in the order of ``FLAGS``; ``line`` int32 [B], -1 where there is none.
    """

    def __init__(
        self, rows: AnnotationRows, images: Sequence[str | None], sources: Sequence[str | None],
        filled: Sequence[bool] | slice = _ALL,
    ) -> None:  # fmt: skip
        """Take over ``rows``, which are those ``filled`` of the annotations; the others are empty."""
        self.images, self.sources = images, sources
        rows_at = filled if isinstance(filled, slice) else np.array(filled, np.bool_)
        self._size_wh_px = np.full((len(images), 2), UNKNOWN, np.int64)
        self._size_wh_px[rows_at] = np.frombuffer(rows.sizes, np.int64).reshape(-1, 2)
        self.verified = np.zeros(len(images), np.bool_)
        self.verified[rows_at] = np.frombuffer(rows.verified, np.bool_)
        counts = np.zeros(len(images), np.int64)
        counts[rows_at] = np.frombuffer(rows.counts, np.int64)
        self._ends = counts.cumsum()
        self.xyxy_px = np.frombuffer(rows.edges, np.float64).reshape(-1, 4)
        self.flags = np.frombuffer(rows.flags, np.bool_).reshape(-1, len(FLAGS))
        self.line = np.frombuffer(rows.lines, np.int32)
        self.labels = tuple(sorted(rows.labels))
        ranks = {label: rank for rank, label in enumerate(self.labels)}
        codes = np.array([ranks[label] for label in rows.labels], np.int32)
        self.label = codes[np.frombuffer(rows.label, np.int32)]
        self._poses, self._pose = tuple(rows.poses), np.frombuffer(rows.pose, np.int32)

    @property
    def size_wh_px(self) -> NDArray[np.int64]:
        """The declared sizes."""
        return np.where((self._size_wh_px > 0).all(axis=1, keepdims=True), self._size_wh_px, 0)

    @property
    def owner(self) -> NDArray[np.int64]:
        """The position of each box's annotation."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.box_counts)

    @property
    def box_counts(self) -> NDArray[np.int64]:
        """The number of boxes of each annotation."""
        return np.diff(self._ends, prepend=0)

    def find_rows(self, position: int) -> slice:
        """Find the rows of the boxes of one annotation."""
        return slice(int(self._ends[position - 1]) if position else 0, int(self._ends[position]))

    def name_file(self, position: int) -> str:
        """Name the file that a fault of one annotation is in: its source, else its image."""
        return self.sources[position] or self.images[position] or "None"

    def list_boxes(self, start: int, end: int) -> list[Box]:
        """Make the boxes of the rows from ``start`` to before ``end``."""
        rows = slice(start, end)
        return [
            Box(
                self.labels[label], (edges[0], edges[1], edges[2], edges[3]), flags[0],
                flags[1],
                flags[2], self._poses[pose],
                None if line == UNKNOWN else line,
            )
            for label, edges, flags, pose, line in zip(
                self.label[rows].tolist(), self.xyxy_px[rows].tolist(), self.flags[rows].tolist(),
                self._pose[rows].tolist(), self.line[rows].tolist(), strict=True,
            )
        ]  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Annotation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Annotation, ...]: ...
    def __getitem__(self, index: int | slice) -> Annotation | tuple[Annotation, ...]:
        positions = range(len(self))[index]
        if isinstance(positions, int):
            return self._make(positions, positions + 1)[0]
        return tuple(self[position] for position in positions)

    def __iter__(self) -> Iterator[Annotation]:
        for start in range(0, len(self), _BLOCK):
            yield from self._make(start, min(start + _BLOCK, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            ours == theirs for ours, theirs in zip(self, other, strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"AnnotationColumns of {len(self):,} annotations with {len(self.label):,} boxes"

    def _make(self, start: int, end: int) -> list[Annotation]:
        ends = [int(self._ends[start - 1]) if start else 0, *self._ends[start:end].tolist()]
        boxes = self.list_boxes(ends[0], ends[-1])
        own = (tuple(boxes[first - ends[0] : last - ends[0]]) for first, last in pairwise(ends))
        facts = zip(
            self.images[start:end], self.sources[start:end], self._size_wh_px[start:end].tolist(), own,
            self.verified[start:end].tolist(), strict=True,
        )  # fmt: skip
        return [
            Annotation(
                _to_path(image), _to_path(source), _to_size(size[0]), _to_size(size[1]), boxes, verified
            )
            for image, source, size, boxes, verified in facts
        ]


def gather_columns(annotations: Iterable[Annotation]) -> AnnotationColumns:
    """Put annotations into columns; columns stay as they are."""
    if isinstance(annotations, AnnotationColumns):
        return annotations
    rows, images, sources = AnnotationRows(), list[str | None](), list[str | None]()
    for annotation in annotations:
        boxes = (
            (box.label, box.xyxy_px, box.difficult, box.truncated, box.occluded, box.pose, box.line)
            for box in annotation.boxes
        )
        rows.add(boxes, annotation.width_px, annotation.height_px, verified=annotation.verified)
        images.append(None if annotation.image is None else str(annotation.image))
        sources.append(None if annotation.source is None else str(annotation.source))
    return AnnotationColumns(rows, images, sources)


def _to_path(path: str | None) -> Path | None:
    return None if path is None else Path(path)


def _to_size(size_px: int) -> int | None:
    return None if size_px == UNKNOWN else size_px
