"""All boxes of a dataset as arrays, so that 100,000 files are checked in the time of a few NumPy calls.

Owns the arrays, and the pairs of boxes of one class that overlap. Refuses nothing; opens no files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.annotations.dataset import Dataset

_PAIRS_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class BoxTable:
    """Box n of N: ``xyxy_px`` float64 [N, 4] edges, ``owner`` int64 [N] its annotation's position.

    ``label`` int32 [N] is a position in ``labels``; ``size_wh_px`` int64 [A, 2] holds each annotation's
    size as (width, height), 0 where it is not known. Boxes of one annotation stand together.
    """

    xyxy_px: NDArray[np.float64]
    owner: NDArray[np.int64]
    label: NDArray[np.int32]
    labels: tuple[str, ...]
    size_wh_px: NDArray[np.int64]

    @property
    def wh_px(self) -> NDArray[np.float64]:
        """Compute (width, height) of each box, float64 [N, 2]; negative where corners are swapped."""
        return self.xyxy_px[:, 2:] - self.xyxy_px[:, :2]

    @property
    def has_area(self) -> NDArray[np.bool_]:
        """Tell for each box whether it has an area, bool [N]."""
        return np.asarray((self.wh_px > 0).all(axis=1))


def build_box_table(
    dataset: Dataset, sizes_wh_px: Sequence[tuple[int, int] | None] | NDArray[np.int64]
) -> BoxTable:
    """Gather the boxes of all annotations; ``sizes_wh_px`` tells each annotation's picture size."""
    columns = dataset.columns
    if not isinstance(sizes_wh_px, np.ndarray):
        sizes_wh_px = np.array([size or (0, 0) for size in sizes_wh_px], np.int64).reshape(-1, 2)
    return BoxTable(columns.xyxy_px, columns.owner, columns.label, columns.labels, sizes_wh_px)


def find_overlapping(table: BoxTable, *, min_iou: float) -> NDArray[np.int64]:
    """List the annotations that hold two boxes of one class with an IoU above this, int64, ascending."""
    order = np.lexsort((table.label, table.owner))
    keys = table.owner[order] * max(1, len(table.labels)) + table.label[order]
    found: list[NDArray[np.int64]] = []
    for first, second in _pair_equal(keys):
        a, b = order[first], order[second]
        found.append(table.owner[a[_compute_pair_iou(table.xyxy_px[a], table.xyxy_px[b]) > min_iou]])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _pair_equal(keys: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    # Of sorted keys, every pair of positions with equal keys: neighbours at distance 1, then 2, and so on.
    rows = np.arange(len(keys))
    for distance in range(1, len(keys)):
        rows = rows[rows + distance < len(keys)]
        rows = rows[keys[rows] == keys[rows + distance]]
        if not len(rows):
            return
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            part = rows[start : start + _PAIRS_AT_ONCE]
            yield part, part + distance


def _compute_pair_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    # Row by row, where compute_iou makes every pair.
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=1)
    union = sum(np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=1) for box in (a, b)) - intersection
    iou: NDArray[np.float64] = np.divide(
        intersection, union, out=np.zeros(len(a)), where=np.asarray(union) > 0
    )
    return iou
