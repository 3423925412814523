"""Samples stacked into batches, made ahead in threads while the network works.

Owns the batch's layout and its way through ``tf.data``. Refuses nothing: an error of a thread is raised as it
was where the batch is asked for.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from detector.boxes import FloatArray, convert_xyxy_to_yxyx
from detector.training.input.batch import Batch
from detector.training.input.canvases import BORDER
from detector.training.input.sample import Sample

Packed = tuple[NDArray[np.uint8], FloatArray, NDArray[np.int32], NDArray[np.int32]]
Pack = Callable[[int], Packed]

PADDING = -1  # in ``Batch.examples``: a picture that only fills up
_AHEAD = 2


@dataclass(frozen=True)
class BatchShape:
    """How many pictures a batch has, how many rows of boxes each of them, and their side."""

    pictures: int
    boxes: int
    canvas_px: int


def pack_samples(samples: Sequence[Sample], positions: Sequence[int], shape: BatchShape) -> Packed:
    """Stack up to ``shape.pictures`` samples; see ``Batch``, but pixels are uint8 still.

    Missing ones are canvases of border without boxes, their position ``PADDING``.
    """
    side = shape.canvas_px
    pixels = np.full((shape.pictures, side, side, 3), BORDER, np.uint8)
    boxes = np.zeros((shape.pictures, shape.boxes, 4), np.float32)
    class_ids = np.zeros((shape.pictures, shape.boxes), np.int32)
    examples = np.full(shape.pictures, PADDING, np.int32)
    examples[: len(samples)] = positions
    for row, sample in enumerate(samples):
        count = len(sample.class_ids)
        pixels[row] = sample.pixels
        boxes[row, :count] = np.clip(convert_xyxy_to_yxyx(sample.boxes_xyxy_px) / side, 0, 1)
        class_ids[row, :count] = sample.class_ids
    return pixels, boxes, class_ids, examples


def iterate_ahead(
    pack: Pack, steps: int, shape: BatchShape, *, workers: int | None = None
) -> Iterator[Batch]:
    """Give ``pack(step)`` of each step in order, as tensors, made ahead by ``workers`` threads.

    ``workers`` None takes one for each core.
    """
    threads = workers or os.cpu_count() or 1
    errors: list[Exception] = []

    def pack_or_keep_error(step: NDArray[np.int64]) -> Packed:
        try:
            return pack(int(step))
        except Exception as error:
            errors.append(error)  # TensorFlow would only pass on its text
            raise

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def pack_tensors(step: Any) -> tuple[Any, ...]:  # noqa: ANN401 (tensors)
        kinds = (tf.uint8, tf.float32, tf.int32, tf.int32)
        rest = ((shape.canvas_px, shape.canvas_px, 3), (shape.boxes, 4), (shape.boxes,), ())
        tensors = tf.numpy_function(pack_or_keep_error, [step], kinds)
        pairs = zip(tensors, rest, strict=True)
        return tuple(tf.ensure_shape(tensor, (shape.pictures, *sides)) for tensor, sides in pairs)

    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    batches = tf.data.Dataset.range(steps).map(pack_tensors, num_parallel_calls=threads, deterministic=True)
    try:
        for pixels, boxes, class_ids, examples in batches.prefetch(_AHEAD).with_options(options):
            yield Batch(tf.cast(pixels, tf.float32), boxes, class_ids, examples)
    except tf.errors.OpError as error:
        raise errors[0] if errors else error from error
