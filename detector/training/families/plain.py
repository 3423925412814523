"""The plain backbone: a small residual network without pretrained weights, for CPUs and models to carry."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

PLAIN = "plain"
PLAIN_WIDTHS = (24, 32, 64, 96, 128)
PLAIN_ENDS = r"^level_\d_out$"
_MOMENTUM = 0.9  # Keras's own .99 takes hundreds of steps to have right statistics


def build_plain(input_px: int, widths: Sequence[int] = PLAIN_WIDTHS) -> Any:  # noqa: ANN401 (a keras.Model)
    """Build the network: for each of ``widths``, a halving and one residual convolution.

    Takes pixels -1 to 1. Its BatchNorm momentum is low, so that its statistics are right after few steps.
    """
    pixels = keras.Input((input_px, input_px, 3))
    features = pixels
    for level, width in enumerate(widths, start=1):
        features = _convolve(features, width, stride=2)
        features = layers.Add(name=f"level_{level}_out")([features, _convolve(features, width)])
    return keras.Model(pixels, features, name=PLAIN)


def _convolve(features: Any, width: int, *, stride: int = 1) -> Any:  # noqa: ANN401 (tensors)
    features = layers.Conv2D(width, 3, stride, padding="same", use_bias=False)(features)
    return layers.ReLU()(layers.BatchNormalization(momentum=_MOMENTUM)(features))
