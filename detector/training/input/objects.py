"""The annotated objects of one example as arrays, and which of an object's boxes an epoch learns from.

Owns the several-boxes rule in training and the way from the picture's pixels to the canvas's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.annotations.clusters import choose_one, cluster_boxes, jitter_boxes, merge_clusters
from detector.boxes import FloatArray, Letterbox
from detector.training.input.canvases import Pixels, fit_to_canvas
from detector.training.input.examples import Example
from detector.training.input.sample import Sample
from detector.training.train_settings import DataSettings

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Objects:
    """Boxes of one picture: ``boxes_xyxy_px`` float32 [N, 4] of the upright picture, ``class_ids`` int32 [N].

    ``clusters`` intp [N] numbers the object that each box is of; ``letterbox`` puts them on the canvas.
    """

    boxes_xyxy_px: FloatArray
    class_ids: Ids
    clusters: NDArray[np.intp]
    letterbox: Letterbox

    def count(self, *, is_one_each: bool) -> int:
        """Count the boxes that an epoch learns from."""
        return len(np.unique(self.clusters)) if is_one_each else len(self.clusters)

    def draw(
        self, generator: np.random.Generator, *, is_one_each: bool, jitter: float
    ) -> tuple[FloatArray, Ids]:
        """Draw one epoch's boxes on the canvas: xyxy_px float32 [K, 4], class_ids int32 [K].

        One box of each object by chance, or all; moved by ``jitter`` of their sides as if drawn again.
        """
        rows = choose_one(self.clusters, generator) if is_one_each else np.arange(len(self.clusters))
        height, width = self.letterbox.source_hw
        boxes = jitter_boxes(
            self.boxes_xyxy_px[rows], generator, relative_sigma=jitter, size_wh_px=(width, height)
        )
        return place_boxes(boxes, self.letterbox), self.class_ids[rows]

    def merge(self) -> tuple[FloatArray, Ids]:
        """Give the mean box of each object, as evaluation sees it: shapes as ``draw``."""
        _, first = np.unique(self.clusters, return_index=True)
        merged = merge_clusters(self.boxes_xyxy_px, self.clusters)
        return place_boxes(merged, self.letterbox), self.class_ids[first]


def gather_objects(
    example: Example, class_ids: Mapping[str, int], settings: DataSettings, canvas_px: int
) -> Objects:
    """Gather an example's boxes, the difficult ones by setting; ``class_ids`` gives each name its id."""
    boxes = [box for box in example.boxes if settings.use_difficult or not box.difficult]
    edges = np.array([box.xyxy_px for box in boxes], np.float32).reshape(-1, 4)
    clusters = cluster_boxes(edges, [box.label for box in boxes], settings.cluster_iou)
    ids = np.array([class_ids[box.label] for box in boxes], np.int32)
    return Objects(edges, ids, clusters, fit_to_canvas(example, canvas_px))


def make_sample(canvas: Pixels, objects: Objects, drawn: tuple[FloatArray, Ids]) -> Sample:
    """Put a canvas and the boxes that were drawn of its objects together."""
    letterbox = objects.letterbox
    height, width = letterbox.content_hw
    content = (letterbox.left, letterbox.top, letterbox.left + width, letterbox.top + height)
    return Sample(canvas, content, *drawn)


def place_boxes(boxes_xyxy_px: FloatArray, letterbox: Letterbox) -> FloatArray:
    """Move boxes float32 [N, 4] from pixels of the picture to pixels of its canvas.

    >>> wide = Letterbox((100, 200), (96, 96), (48, 96), 24, 0)
    >>> place_boxes(np.array([[0, 0, 200, 50]], np.float32), wide).tolist()
    [[0.0, 24.0, 96.0, 48.0]]
    """
    scale = np.array(letterbox.content_hw[::-1] * 2) / np.array(letterbox.source_hw[::-1] * 2)
    placed: FloatArray = (boxes_xyxy_px * scale + np.array([letterbox.left, letterbox.top] * 2)).astype(
        np.float32
    )
    return placed
