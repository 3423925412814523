"""Detections of several pictures as the arrays of the TF Object Detection API: padded to the longest.

Owns names, types and order of the outputs of both tensor protocols.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.labels import LabelMap
from detector.serving.service import Found

BOXES, SCORES, CLASSES = "detection_boxes", "detection_scores", "detection_classes"
LABELS, COUNT, IMAGE_HW = "detection_labels", "num_detections", "image_hw"


def build_arrays(found: Sequence[Found], labels: LabelMap) -> dict[str, NDArray[np.generic]]:
    """Lay N pictures' detections out as arrays, M the most of one picture, zeros and '' where it has fewer.

    ``detection_boxes`` float32 [N, M, 4] as y_min, x_min, y_max, x_max in fractions of the upright picture;
    ``detection_scores`` float32 and ``detection_classes`` int32 [N, M] (ids of the label map);
    ``detection_labels`` str [N, M]; ``num_detections`` int32 [N]; ``image_hw`` int32 [N, 2].
    """
    counts = [len(one.detections.scores) for one in found]
    shape = (len(found), max(counts, default=0))
    boxes, scores = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32)
    classes, names = np.zeros(shape, np.int32), np.full(shape, "", object)
    for row, (one, count) in enumerate(zip(found, counts, strict=True)):
        boxes[row, :count] = one.detections.boxes_yxyx_norm
        scores[row, :count] = one.detections.scores
        classes[row, :count] = one.detections.class_ids
        names[row, :count] = [labels.name_of(int(class_id)) for class_id in one.detections.class_ids]
    return {
        BOXES: boxes,
        SCORES: scores,
        CLASSES: classes,
        LABELS: names,
        COUNT: np.array(counts, np.int32),
        IMAGE_HW: np.array([(one.height_px, one.width_px) for one in found], np.int32),
    }
