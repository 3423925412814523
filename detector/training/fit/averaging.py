"""An exponential moving average of the weights: smoother than the last step's, and what is exported.

Owns the shadow of every float variable, running statistics of BatchNorm included. Source: Polyak and
Juditsky, 1992; the rising decay is that of TensorFlow's ExponentialMovingAverage.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray


class WeightAverage:
    """The average of ``variables`` (Keras's); with ``decay`` None it's their present values."""

    def __init__(self, variables: Sequence[Any], decay: float | None) -> None:
        self._decay = decay
        self._variables = [v for v in variables if tf.as_dtype(v.dtype).is_floating]
        self._shadows = [tf.Variable(tf.convert_to_tensor(v), trainable=False) for v in self._variables]

    def update(self, step: Any) -> None:  # noqa: ANN401 (a tensor)
        """Move the average towards the values after ``step`` steps; part of the traced step."""
        if self._decay is None:
            return
        step = tf.cast(step, tf.float32)
        share = 1 - tf.minimum(self._decay, (1 + step) / (10 + step))
        for shadow, variable in zip(self._shadows, self._variables, strict=True):
            value = tf.convert_to_tensor(variable)
            shadow.assign_add(tf.cast(share, shadow.dtype) * (value - shadow))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the variables their averages, and what they had back afterwards."""
        if self._decay is None:
            yield
            return
        kept = [variable.numpy() for variable in self._variables]
        self.overwrite()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, kept, strict=True):
                variable.assign(value)

    def overwrite(self) -> None:
        """Give the variables their averages for good."""
        if self._decay is not None:
            for variable, shadow in zip(self._variables, self._shadows, strict=True):
                variable.assign(shadow)

    def read(self) -> list[NDArray[Any]]:
        """Give the averages as arrays, to be kept."""
        return [shadow.numpy() for shadow in self._shadows]

    def restore(self, values: Sequence[NDArray[Any]]) -> None:
        """Take averages that were kept."""
        for shadow, value in zip(self._shadows, values, strict=True):
            shadow.assign(value)
