"""Which detection overlaps which object of its image, and by how much.

Owns the search for pairs, in bounded memory, and their IoU in float64: an IoU of exactly .6 has to reach a
threshold of .6, which float32 can't promise. Decides about no match.
"""

from dataclasses import dataclass

import numpy as np

from detector.evaluation.sample import ResultColumns, TruthColumns
from detector.evaluation.truth import BoolArray, FloatArray, IntArray

_PAIRS_AT_ONCE = 1_000_000


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of a detection and an object: P rows, by detection (best score first), then by object.

    ``result_rows`` and ``truth_rows`` int64 [P] point into the sample's columns; ``iou`` float64 [P] is
    intersection over union, ``ioa`` float64 [P] intersection over the detection's own area.
    """

    result_rows: IntArray
    truth_rows: IntArray
    iou: FloatArray
    ioa: FloatArray


def find_overlaps(
    truth: TruthColumns, results: ResultColumns, least: float, *, across_classes: bool = False
) -> Overlaps:
    """Find the pairs inside each image whose IoU is at least ``least``; for crowds IoA, as COCO has it.

    Pairs are of one class, unless ``across_classes``. Rows point into the columns that were given.
    """
    class_count = 1 + max(truth.class_rows.max(initial=0), results.class_rows.max(initial=0))
    truth_keys, result_keys = (
        columns.image_rows * (1 if across_classes else class_count)
        + (0 if across_classes else columns.class_rows)
        for columns in (truth, results)
    )
    order = np.argsort(truth_keys, kind="stable")
    first = np.searchsorted(truth_keys[order], result_keys, side="left")
    counts = np.searchsorted(truth_keys[order], result_keys, side="right") - first
    parts = [
        _measure_pairs(truth, results, order, first, counts, begin, end, least)
        for begin, end in _cut_chunks(counts)
    ]
    columns = zip(*parts, strict=True) if parts else [[np.empty(0, np.int64)]] * 2 + [[np.empty(0)]] * 2
    return Overlaps(*(np.concatenate(column) for column in columns))


def keep_overlaps(overlaps: Overlaps, rows: BoolArray | IntArray) -> Overlaps:
    """Keep or reorder pairs by row number or mask."""
    return Overlaps(
        overlaps.result_rows[rows], overlaps.truth_rows[rows], overlaps.iou[rows], overlaps.ioa[rows]
    )


def _cut_chunks(counts: IntArray) -> list[tuple[int, int]]:
    chunks = (np.cumsum(counts) - 1) // _PAIRS_AT_ONCE
    edges = np.flatnonzero(np.diff(chunks, prepend=-1, append=-1))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _measure_pairs(
    truth: TruthColumns,
    results: ResultColumns,
    order: IntArray,
    first: IntArray,
    counts: IntArray,
    begin: int,
    end: int,
    least: float,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    chunk = counts[begin:end]
    result_rows = np.repeat(np.arange(begin, end), chunk)
    within = np.arange(len(result_rows)) - np.repeat(np.cumsum(chunk) - chunk, chunk)
    truth_rows = order[np.repeat(first[begin:end], chunk) + within]
    iou, ioa = _compute_overlap(truth.boxes_xyxy_px[truth_rows], results.boxes_xyxy_px[result_rows])
    enough = np.where(truth.crowd[truth_rows], ioa, iou) >= least
    return result_rows[enough], truth_rows[enough], iou[enough], ioa[enough]


def _compute_overlap(truth_xyxy: FloatArray, result_xyxy: FloatArray) -> tuple[FloatArray, FloatArray]:
    low = np.maximum(truth_xyxy[:, :2], result_xyxy[:, :2])
    high = np.minimum(truth_xyxy[:, 2:], result_xyxy[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    truth_area = (truth_xyxy[:, 2:] - truth_xyxy[:, :2]).prod(axis=1)
    result_area = (result_xyxy[:, 2:] - result_xyxy[:, :2]).prod(axis=1)
    return _divide(common, truth_area + result_area - common), _divide(common, result_area)


def _divide(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
