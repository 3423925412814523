"""Anchors of the model garden's YOLOs: sides in pixels, three for each level, from the training boxes.

Owns the choice. YOLO's anchors needn't be of the same shapes at each level, so ``model.anchors`` can't say
them.
"""

import numpy as np
from numpy.typing import NDArray

PER_LEVEL = 3
# Of COCO at 512 pixels, as the garden ships them: (width, height), smallest first.
_USUAL = ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401))
_USUAL_PX = 512


def choose_yolo_anchors(
    boxes_wh_norm: NDArray[np.float32], *, levels: tuple[int, int], canvas_px: int
) -> list[list[float]]:
    """Choose [width, height] in pixels, smallest first, three a level.

    Boxes float32 [N, 2] in fractions of the canvas are sorted by area and cut into as many parts of the same
    number; an anchor is the median of a part. Of fewer boxes than anchors nothing can be learnt: COCO's then.

    >>> boxes = np.array([[0.1, 0.2], [0.2, 0.1], [0.5, 0.5]], np.float32)
    >>> choose_yolo_anchors(boxes, levels=(5, 5), canvas_px=100)
    [[10.0, 20.0], [20.0, 10.0], [50.0, 50.0]]
    """
    count = PER_LEVEL * (levels[1] - levels[0] + 1)
    sides = boxes_wh_norm[(boxes_wh_norm > 0).all(axis=-1)] * canvas_px
    if len(sides) < count:
        return [[side * canvas_px / _USUAL_PX for side in usual] for usual in _USUAL[-count:]]
    by_area = sides[np.argsort(sides.prod(axis=-1), kind="stable")]
    return [
        [round(float(side), 1) for side in np.median(part, axis=0)] for part in np.array_split(by_area, count)
    ]
