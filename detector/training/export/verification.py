"""Is the exported model the trained one? Both look at the same pictures, at once after the export.

Owns the comparison of the network in memory with the SavedModel, loaded anew from its files as scoring loads
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from detector.errors import TrainingError
from detector.models.predictor import load_predictor
from detector.models.signature import read_signature
from detector.settings import ModelSettings
from detector.training.export.package import SAVED_MODEL
from detector.training.export.saved_model import build_signature
from detector.training.families.family import Detector
from detector.training.train_settings import ExportSettings

TOLERANCE = 1e-3
_HALF_TOLERANCE = 2e-2  # weights of 11 bits
_CLEAR_SCORE = 0.1  # of two weak boxes of nearly equal scores, either may be kept


@dataclass(frozen=True)
class Agreement:
    """The largest differences found: of edges in fractions of the picture, and of scores."""

    pictures: int
    detections: int
    box_difference: float
    score_difference: float


def check_export(
    detector: Detector, options: ExportSettings, package: Path, pictures: Sequence[NDArray[np.uint8]]
) -> Agreement:
    """Compare the network with the package's SavedModel on uint8 [H, W, 3] pictures.

    Raises ``TrainingError`` where detections above .1 differ by more than 1e-3 (float16 weights: 2e-2).
    """
    path = package / SAVED_MODEL
    predictor = load_predictor(path, read_signature(path), ModelSettings(uri=str(path), min_score=0))
    detect = build_signature(detector, options)
    box_difference, score_difference, detections = 0.0, 0.0, 0
    for picture in pictures:
        wanted = {name: found.numpy()[0] for name, found in detect(tf.constant(picture[None])).items()}
        found = predictor.predict([predictor.prepare(picture)], [picture.shape[:2]])[0]
        for row in np.flatnonzero(wanted["detection_scores"] > _CLEAR_SCORE).tolist():
            detections += 1
            same = found.class_ids == int(wanted["detection_classes"][row])
            box = np.abs(found.boxes_yxyx_norm - wanted["detection_boxes"][row]).max(axis=1, initial=0)
            score = np.abs(found.scores - wanted["detection_scores"][row])
            worst = np.where(same, np.maximum(box, score), np.inf)
            best = int(worst.argmin()) if len(worst) else -1
            if best < 0 or not same[best]:
                raise TrainingError(f"{path}: the exported model lacks a detection of the network")
            box_difference = max(box_difference, float(box[best]))
            score_difference = max(score_difference, float(score[best]))
    tolerance = _HALF_TOLERANCE if options.half else TOLERANCE
    if max(box_difference, score_difference) > tolerance:
        raise TrainingError(
            f"{path}: the exported model differs from the network by {box_difference:.2g} in boxes and "
            f"{score_difference:.2g} in scores; {tolerance} are allowed. Don't use it; report it with its "
            "training.yaml"
        )
    return Agreement(len(pictures), detections, box_difference, score_difference)
