"""Batches as a model takes them: the size to bring images to, how many, and the stacking.

Owns everything between prepared images and the array or strings that a model is called with. Needs no
TensorFlow.
"""

import math
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.models.encoding import Pixels
from detector.models.signature import ModelInput
from detector.settings import ModelSettings

_ALIGNMENT = 64  # bytes; TensorFlow takes only such memory as it is
_SCALES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}


def choose_canvas_hw(model_input: ModelInput, settings: ModelSettings) -> tuple[int, int] | None:
    """Choose the (height, width) that images are letterboxed to; None: they keep their own.

    Raises ``ModelError`` when ``model.input_hw`` contradicts the model's fixed size, or is missing where
    the model fixes only one of the two.
    """
    fixed, wanted = (model_input.height_px, model_input.width_px), settings.input_hw
    if wanted is not None:
        if any(size not in {None, asked} for size, asked in zip(fixed, wanted, strict=True)):
            raise ModelError(
                f"model.input_hw is {wanted}, but the model takes only {fixed} (height, width): "
                "leave the setting out"
            )
        return wanted
    height_px, width_px = fixed
    if height_px is None and width_px is None:
        return None
    if height_px is None or width_px is None:
        raise ModelError(f"the model fixes one side of its images, {fixed}: give model.input_hw")
    return height_px, width_px


def choose_batch_size(model_input: ModelInput, settings: ModelSettings) -> int:
    """Choose how many images go into a call: what the model fixes, else the setting."""
    return model_input.batch or settings.batch_size


def choose_padded_size(count: int, batch_size: int, *, always_full: bool) -> int:
    """Choose the size that a batch of ``count`` images is padded to, so that few sizes ever occur.

    >>> [choose_padded_size(count, 6, always_full=False) for count in (1, 2, 3, 5)]
    [1, 2, 4, 6]
    >>> choose_padded_size(1, 6, always_full=True)
    6
    """
    return batch_size if always_full else min(batch_size, 1 << (count - 1).bit_length())


class BatchStacker:
    """Stacks prepared images into batches for one model, in memory that it keeps for the next batch.

    New memory for each batch costs more than the copy: the kernel hands it out page by page.
    ``pixel_range`` says what the floats of a float32 model mean.
    """

    def __init__(self, model_input: ModelInput, pixel_range: str) -> None:
        self._input = model_input
        self._dtype = np.dtype(np.uint8 if model_input.dtype == "uint8" else np.float32)
        self._scale, self._shift = map(np.float32, _SCALES[pixel_range])
        self._memory = np.empty(0, np.uint8)

    def stack(self, inputs: Sequence[Pixels], size: int) -> Any:  # noqa: ANN401 (array or bytes)
        """Stack images into one batch of ``size``, the last one repeated.

        Gives uint8 or float32 [size, H, W, 3] that lies on a 64-byte border and is valid until the next
        call; an object array of ``size`` strings; or one string for a model that takes a single one.
        """
        if self._input.dtype == "string":
            return inputs[0] if self._input.scalar else np.array([*_pad(inputs, size)], dtype=object)
        images = [image for image in inputs if not isinstance(image, bytes)]
        batch = self._reserve((size, *images[0].shape))
        for place, image in zip(batch, _pad(images, size), strict=True):
            if batch.dtype == np.uint8 or self._scale == 1:
                place[...] = image
            else:
                np.multiply(image, self._scale, out=place)
                np.add(place, self._shift, out=place)
        return batch

    def _reserve(self, shape: tuple[int, ...]) -> NDArray[Any]:
        nbytes = math.prod(shape) * self._dtype.itemsize
        if self._memory.nbytes < nbytes:
            raw = np.empty(nbytes + _ALIGNMENT, np.uint8)
            self._memory = raw[-raw.ctypes.data % _ALIGNMENT :]
        return self._memory[:nbytes].view(self._dtype).reshape(shape)


def _pad(inputs: Sequence[Any], size: int) -> chain[Any]:
    return chain(inputs, repeat(inputs[-1], size - len(inputs)))
