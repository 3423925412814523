"""The ground truth of one image, as the metrics take it: plain arrays, of no file format.

Owns the type and its checks. Refuses arrays of unequal length, corners that are swapped and numbers that are
none; a box without area is taken, and no detection can find it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.errors import EvaluationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """What is in one image; ``make_truth`` builds it from lists or arrays of any dtype.

    ``image`` names it, ``width_px`` and ``height_px`` are those of the upright image. ``boxes_xyxy_px``
    float64 [N, 4], edges in pixels; ``class_ids`` int64 [N]; bool [N]: ``difficult`` (VOC), ``ignore`` and
    ``crowd`` (COCO's crowd, Open Images' group-of: many objects in one box). A box with any of the three is
    never missed and a detection of it never wrong, except where Open Images counts a group as one object.
    ``labelled_class_ids``: the classes that somebody looked for in this image; None means all of them.
    """

    image: str
    width_px: int
    height_px: int
    boxes_xyxy_px: FloatArray
    class_ids: IntArray
    difficult: BoolArray
    crowd: BoolArray
    ignore: BoolArray
    labelled_class_ids: IntArray | None = None

    def __post_init__(self) -> None:
        """Refuse what is no ground truth, with ``EvaluationError``."""
        columns = (self.class_ids, self.difficult, self.crowd, self.ignore)
        check_boxes(f"the ground truth of {self.image}", self.boxes_xyxy_px, *columns)


def make_truth(
    image: str,
    size_wh: tuple[int, int],
    boxes_xyxy_px: ArrayLike,
    class_ids: ArrayLike,
    *,
    difficult: ArrayLike = (),
    crowd: ArrayLike = (),
    ignore: ArrayLike = (),
    labelled_class_ids: ArrayLike | None = None,
) -> ImageTruth:
    """Make the ground truth of one image of ``size_wh`` (width, height) pixels; an empty flag means none.

    Boxes [N, 4], edges in pixels. Raises ``EvaluationError`` where lengths differ or a box is none.

    >>> make_truth("a.jpg", (640, 480), [[0, 0, 10, 20]], [1]).difficult.tolist()
    [False]
    """
    ids = np.asarray(class_ids, np.int64).reshape(-1)
    labelled = None if labelled_class_ids is None else np.asarray(labelled_class_ids, np.int64).reshape(-1)
    return ImageTruth(
        image,
        *size_wh,
        shape_boxes(boxes_xyxy_px),
        ids,
        fill_flag(difficult, len(ids)),
        fill_flag(crowd, len(ids)),
        fill_flag(ignore, len(ids)),
        labelled,
    )


def shape_boxes(boxes: ArrayLike) -> FloatArray:
    """Give boxes as float64 [N, 4]; an empty list is [0, 4]."""
    array = np.asarray(boxes, np.float64)
    return array if array.size else array.reshape(0, 4)


def fill_flag(flag: ArrayLike, count: int) -> BoolArray:
    """Give a flag as bool [N]; an empty one is False ``count`` times."""
    array = np.asarray(flag, np.bool_).reshape(-1)
    return array if array.size else np.zeros(count, np.bool_)


def check_boxes(owner: str, boxes_xyxy_px: FloatArray, *columns: NDArray[np.generic]) -> None:
    """Raise ``EvaluationError`` unless boxes are finite [N, 4] with low before high, and columns [N]."""
    if boxes_xyxy_px.ndim != 2 or boxes_xyxy_px.shape[1] != 4:  # noqa: PLR2004 (a box has four edges)
        raise EvaluationError(f"{owner}: boxes of shape {boxes_xyxy_px.shape}, wanted [N, 4]")
    lengths = [len(column) for column in columns]
    if any(length != len(boxes_xyxy_px) for length in lengths):
        raise EvaluationError(f"{owner}: {len(boxes_xyxy_px)} boxes, but columns of length {lengths}")
    bad = ~np.isfinite(boxes_xyxy_px).all(axis=1)
    bad |= (boxes_xyxy_px[:, 2:] < boxes_xyxy_px[:, :2]).any(axis=1)
    if bad.any():
        raise EvaluationError(
            f"{owner}: {bad.sum()} boxes have swapped corners or no numbers, the first is box "
            f"{int(bad.argmax())} (from 0); repair or leave out"
        )
