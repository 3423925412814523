"""What a detector found in one image, as the metrics take it: plain arrays, whatever model it was.

Owns the type and its checks. Refuses scores that are no numbers and everything that ``truth`` refuses of
boxes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detector.errors import EvaluationError
from detector.evaluation.truth import FloatArray, IntArray, check_boxes, shape_boxes


@dataclass(frozen=True, eq=False)
class ImageResult:
    """The detections of one image, in any order; ``make_result`` builds it from lists or any dtype.

    ``image``, ``width_px`` and ``height_px`` as in ``ImageTruth``. ``boxes_xyxy_px`` float64 [N, 4], edges in
    pixels of the upright image, ``scores`` float64 [N], ``class_ids`` int64 [N].
    """

    image: str
    width_px: int
    height_px: int
    boxes_xyxy_px: FloatArray
    scores: FloatArray
    class_ids: IntArray

    def __post_init__(self) -> None:
        """Refuse what is no detection, with ``EvaluationError``."""
        owner = f"the detections of {self.image}"
        check_boxes(owner, self.boxes_xyxy_px, self.scores, self.class_ids)
        if not np.isfinite(self.scores).all():
            raise EvaluationError(f"{owner}: {(~np.isfinite(self.scores)).sum()} scores are no numbers")


def make_result(
    image: str, size_wh: tuple[int, int], boxes_xyxy_px: ArrayLike, scores: ArrayLike, class_ids: ArrayLike
) -> ImageResult:
    """Make the detections of one image of ``size_wh`` (width, height) pixels; empty lists mean none.

    Raises ``EvaluationError`` where lengths differ, a box is none or a score no number.

    >>> make_result("a.jpg", (640, 480), [], [], []).boxes_xyxy_px.shape
    (0, 4)
    """
    return ImageResult(
        image,
        *size_wh,
        shape_boxes(boxes_xyxy_px),
        np.asarray(scores, np.float64).reshape(-1),
        np.asarray(class_ids, np.int64).reshape(-1),
    )
