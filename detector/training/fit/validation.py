"""How good the network is while it's being trained: average precision on the validation pictures.

Owns the way from canvases through the network and the exporter's suppression to COCO's figures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from detector.boxes import compute_letterbox, convert_canvas_to_source
from detector.evaluation.coco import compute_coco
from detector.evaluation.results import ImageResult
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import ImageTruth
from detector.measurement.predictions import place_detections
from detector.models.detections import Detections
from detector.training.export.suppression import suppress
from detector.training.families.family import Detector
from detector.training.input.batch import Batch
from detector.training.train_settings import ExportSettings

Figures = dict[str, float]
_SHOWN_SCORE = 0.3


@dataclass(frozen=True)
class Validation:
    """The validation pictures: their truth in order, and a way to go through their batches in that order."""

    truths: Sequence[ImageTruth]
    open_batches: Callable[[], Iterable[Batch]]


def build_detect(detector: Detector, options: ExportSettings) -> Callable[[Any], tuple[Any, ...]]:
    """Trace the network and the suppression over canvases float32 [B, S, S, 3]; see ``suppress``."""

    def detect(pixels: Any) -> tuple[Any, ...]:  # noqa: ANN401 (a tensor)
        return suppress(*detector.decode(pixels), options)

    traced: Callable[[Any], tuple[Any, ...]] = tf.function(detect, autograph=False)
    return traced


def predict_canvases(
    detect: Callable[[Any], tuple[Any, ...]], validation: Validation, canvas_px: int
) -> list[ImageResult]:
    """Detect on every validation picture: results in the order of the truths."""
    results: list[ImageResult] = []
    for batch in validation.open_batches():
        outputs = [tensor.numpy() for tensor in detect(batch.pixels)]
        for row in range(len(outputs[0])):
            if len(results) < len(validation.truths):  # the last batch is filled up
                truth = validation.truths[len(results)]
                results.append(_place(truth, canvas_px, *(output[row] for output in outputs)))
    return results


def mark_found(detect: Callable[[Any], tuple[Any, ...]], validation: Validation) -> Iterator[Batch]:
    """Give the validation batches with what is found in them instead of their truth, to be drawn."""
    for batch in validation.open_batches():
        boxes, scores, classes, _ = detect(batch.pixels)
        is_shown = tf.cast(scores >= _SHOWN_SCORE, tf.int32)
        yield Batch(batch.pixels, boxes, is_shown * (tf.cast(classes, tf.int32) + 1), batch.examples)


def measure(results: Sequence[ImageResult], truths: Sequence[ImageTruth]) -> Figures:
    """Compute ``ap``, ``ap50`` and ``ap75``, 0 to 1; 0 where no object counts."""
    figures, _ = compute_coco(gather_sample(truths, results))
    return {name: getattr(figures, name) or 0.0 for name in ("ap", "ap50", "ap75")}


def _place(
    truth: ImageTruth,
    canvas_px: int,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.float32],
    count: int,
) -> ImageResult:
    letterbox = compute_letterbox((truth.height_px, truth.width_px), (canvas_px, canvas_px))
    upright = np.clip(convert_canvas_to_source(boxes[:count], letterbox), 0, 1)
    found = Detections(upright, scores[:count], classes[:count].astype(np.int32) + 1)
    return place_detections(truth.image, (truth.width_px, truth.height_px), found)
