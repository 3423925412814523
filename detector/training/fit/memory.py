"""Too little memory on the GPU: how large a batch would have fitted.

Owns the search for it, by trying.
"""

from typing import Any

import tensorflow as tf

from detector.errors import TrainingError
from detector.training.fit.steps import Stepper
from detector.training.input.batch import Batch


def explain_memory(stepper: Stepper, batch: Batch, error: Exception) -> TrainingError:
    """Try halves of the batch until one fits, and say so; the weights are spent afterwards."""
    size = int(batch.pixels.shape[0])
    fitting = size // 2
    while fitting:
        part = Batch(*(tensor[:fitting] for tensor in _list_tensors(batch)))
        try:
            stepper.take(part, 0.0)
            break
        except tf.errors.ResourceExhaustedError:
            fitting //= 2
    advice = (
        f"{fitting} fit: set fit.batch_size to {fitting}"
        if fitting
        else "not even one fits: lower model.input_px, or take a smaller model.backbone"
    )
    reason = str(error).strip().partition("\n")[0][:200]
    return TrainingError(
        f"a step of {size} pictures doesn't fit into the device's memory; {advice} ({reason})"
    )


def _list_tensors(batch: Batch) -> tuple[Any, ...]:
    return batch.pixels, batch.boxes_yxyx_norm, batch.class_ids, batch.examples
