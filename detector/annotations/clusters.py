"""Several boxes around one object: which belong together, and what training and evaluation make of them.

People draw several slightly different boxes around one object on purpose. Training may take any of them;
evaluation has to see one, since a perfect detector finds one and would miss all the others.

Owns the definition: a cluster holds boxes of one class, *each two* of which overlap above the threshold.
Going by chains of neighbours instead would melt a row of objects, each overlapping the next, into one. Of all
ways to form such clusters, the pair of clusters whose least overlap is largest is joined first (complete
linkage), so the result does not depend on the order of the boxes. Refuses to look at pixels.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.annotations.dataset import Box
from detector.boxes import FloatArray, compute_iou

Ids = NDArray[np.intp]


def cluster_boxes(boxes_xyxy_px: FloatArray, labels: Sequence[str], iou: float) -> Ids:
    """Give each box the number of its cluster: boxes float [N, 4], labels [N], intp [N] out.

    Two boxes overlap when their IoU is above ``iou``, 0 to 1. Clusters are numbered from 0 in the order of
    their first boxes. A box without area is a cluster of its own.

    >>> boxes = np.array([[0, 0, 10, 10], [50, 0, 60, 10], [1, 0, 11, 10]], np.float32)
    >>> cluster_boxes(boxes, ["cat", "cat", "cat"], 0.5).tolist()
    [0, 1, 0]
    """
    count = len(labels)
    boxes = np.asarray(boxes_xyxy_px, np.float32).reshape(count, 4)
    # Work in an order that follows from the boxes alone: equal overlaps are then joined alike every time.
    order = sorted(range(count), key=lambda i: (labels[i], *boxes[i].tolist()))
    sorted_labels = np.array([labels[i] for i in order], dtype=object)
    overlaps = compute_iou(boxes[order], boxes[order])
    overlaps[sorted_labels[:, None] != sorted_labels[None, :]] = 0
    names = np.empty(count, np.intp)
    names[order] = _join(overlaps, iou)
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    ranks: Ids = np.argsort(np.argsort(first))[inverse]
    return ranks


def merge_clusters(boxes_xyxy_px: FloatArray, clusters: Ids) -> FloatArray:
    """Compute the mean box of each cluster: [N, 4] and [N] give float32 [K, 4], cluster k in row k.

    >>> merge_clusters(np.array([[0, 0, 10, 10], [2, 0, 12, 10]], np.float32), np.array([0, 0])).tolist()
    [[1.0, 0.0, 11.0, 10.0]]
    """
    sizes = np.bincount(clusters)
    sums = np.zeros((len(sizes), 4))
    np.add.at(sums, clusters, boxes_xyxy_px)
    merged: FloatArray = (sums / sizes[:, None]).astype(np.float32)
    return merged


def choose_one(clusters: Ids, generator: np.random.Generator) -> Ids:
    """Choose one box of each cluster, each as likely as the others: intp [K], sorted indices of boxes."""
    shuffled = generator.permutation(len(clusters))
    _, first = np.unique(clusters[shuffled], return_index=True)
    chosen: Ids = np.sort(shuffled[first])
    return chosen


def merge_boxes(boxes: Sequence[Box], iou: float) -> tuple[Box, ...]:
    """Give one box for each cluster, as evaluation needs it: the mean of its edges.

    In the order of the clusters' first boxes. The mean is difficult when all of its boxes are, truncated or
    occluded when any of them is.
    """
    clusters = _cluster(boxes, iou)
    merged = []
    for number, edges in enumerate(merge_clusters(_stack(boxes), clusters).tolist()):
        members = [box for box, cluster in zip(boxes, clusters, strict=True) if cluster == number]
        if len(members) == 1:
            merged.append(members[0])
            continue
        mean = replace(
            members[0],
            xyxy_px=tuple(edges),
            difficult=all(box.difficult for box in members),
            truncated=any(box.truncated for box in members),
            occluded=any(box.occluded for box in members),
        )
        merged.append(mean)
    return tuple(merged)


def choose_boxes(boxes: Sequence[Box], iou: float, generator: np.random.Generator) -> tuple[Box, ...]:
    """Give one box of each cluster by chance, as one epoch of training sees them."""
    return tuple(boxes[index] for index in choose_one(_cluster(boxes, iou), generator))


def jitter_boxes(
    boxes_xyxy_px: FloatArray,
    generator: np.random.Generator,
    *,
    relative_sigma: float,
    size_wh_px: tuple[int, int],
) -> FloatArray:
    """Move each edge by chance, as if somebody had drawn the box again: float32 [N, 4] in and out.

    The move is normal with a deviation of ``relative_sigma`` times the box's width or height, at most three
    deviations, and ends at the picture's border. A box that would have no area is left as it was; 0 changes
    no box.
    """
    boxes = np.asarray(boxes_xyxy_px, np.float32)
    extents = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    steps = np.clip(generator.standard_normal(boxes.shape), -3, 3) * relative_sigma
    moved = np.clip(boxes + steps * extents, 0, np.array(size_wh_px * 2)).astype(np.float32)
    has_area = np.all(moved[:, 2:] > moved[:, :2], axis=1, keepdims=True)
    jittered: FloatArray = np.where(has_area & (relative_sigma > 0), moved, boxes)
    return jittered


def _join(overlaps: FloatArray, least: float) -> Ids:
    # overlaps [N, N] between clusters is the least of their boxes' overlaps; the largest pair joins first.
    overlaps = overlaps.copy()
    np.fill_diagonal(overlaps, 0)
    names = np.arange(len(overlaps))
    while overlaps.size:
        kept, joined = sorted(divmod(int(overlaps.argmax()), len(overlaps)))
        if overlaps[kept, joined] <= least:
            break
        both = np.minimum(overlaps[kept], overlaps[joined])
        overlaps[kept], overlaps[:, kept] = both, both
        overlaps[joined], overlaps[:, joined], overlaps[kept, kept] = 0, 0, 0
        names[names == joined] = kept
    return names


def _cluster(boxes: Sequence[Box], iou: float) -> Ids:
    return cluster_boxes(_stack(boxes), [box.label for box in boxes], iou)


def _stack(boxes: Sequence[Box]) -> FloatArray:
    return np.array([box.xyxy_px for box in boxes], np.float32).reshape(-1, 4)
