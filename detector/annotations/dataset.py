"""A dataset in memory: which pictures below which folder, which boxes, as whom they were declared.

Owns the counts of classes. Refuses nothing: see ``annotation``. Opens no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.annotations.annotation import Annotation, Box
from detector.annotations.columns import AnnotationColumns, gather_columns

__all__ = ["Annotation", "Box", "Dataset"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Annotations below one folder, ordered by their image's (else their source's) path.

    They are kept as ``columns``, whatever sequence is given; each ``Annotation`` is made when looked at.
    """

    root: Path
    annotations: Sequence[Annotation]

    def __post_init__(self) -> None:
        object.__setattr__(self, "annotations", gather_columns(self.annotations))

    @property
    def columns(self) -> AnnotationColumns:
        """The annotations as arrays."""
        return gather_columns(self.annotations)

    def labels(self) -> tuple[str, ...]:
        """List the names of the classes that occur, sorted."""
        return self.columns.labels

    def count_boxes(self) -> dict[str, int]:
        """Count the boxes of each class, the most frequent class first, then by name."""
        columns = self.columns
        return _sort_counts(columns.labels, columns.label)

    def count_images(self) -> dict[str, int]:
        """Count the images (annotations, strictly) in which each class occurs, sorted as ``count_boxes``."""
        columns = self.columns
        classes = max(1, len(columns.labels))
        pairs = columns.owner * classes + columns.label
        pairs.sort()
        return _sort_counts(columns.labels, pairs[np.diff(pairs, prepend=-1) > 0] % classes)


def _sort_counts(labels: Sequence[str], found: NDArray[np.integer]) -> dict[str, int]:
    counts = zip(labels, np.bincount(found, minlength=len(labels)).tolist(), strict=True)
    return dict(sorted(counts, key=lambda item: (-item[1], item[0])))
