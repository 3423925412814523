"""Colours varied by chance: brightness, contrast, saturation and hue as one matrix on RGB.

Owns the matrix. Refuses to look at boxes: no pixel moves. Clipping is to whole levels from 0 to 255.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.training.train_settings import AugmentSettings

Pixels = NDArray[np.uint8]

# Luminance and two axes of colour, as in NTSC television (ITU-R BT.470, the YIQ of system M).
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_MID_GREY = 127.5


def draw_colour(settings: AugmentSettings, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw one change of colours, each part uniform in its range: float32 [3, 4] for ``vary_colour``."""
    brightness, contrast, saturation, hue = generator.uniform(-1, 1, 4) * (
        settings.brightness, settings.contrast, settings.saturation, settings.hue
    )  # fmt: skip
    return make_colour_matrix(
        brightness=brightness, contrast=1 + contrast, saturation=1 + saturation, hue=hue
    )


def make_colour_matrix(
    *, brightness: float = 0, contrast: float = 1, saturation: float = 1, hue: float = 0
) -> NDArray[np.float32]:
    """Make the matrix [3, 4] from RGB and 1 to RGB.

    ``hue`` turns by this part of a circle and ``saturation`` multiplies, both around grey of the same
    luminance; ``contrast`` multiplies the distance from mid-grey; ``brightness`` adds this part of 255.

    >>> make_colour_matrix(brightness=0.2)[:, 3].tolist()
    [51.0, 51.0, 51.0]
    """
    cosine, sine = np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)
    turned = np.eye(3)
    turned[1:, 1:] = saturation * np.array([[cosine, -sine], [sine, cosine]])
    linear = contrast * (np.linalg.inv(_YIQ) @ turned @ _YIQ)
    offset = np.full((3, 1), _MID_GREY * (1 - contrast) + 255 * brightness)
    matrix: NDArray[np.float32] = np.hstack([linear, offset]).astype(np.float32)
    return matrix


def vary_colour(pixels: Pixels, matrix: NDArray[np.float32]) -> Pixels:
    """Apply a matrix [3, 4] to pixels uint8 [H, W, 3], RGB, clipped to 0..255."""
    return cv2.transform(pixels, matrix).astype(np.uint8, copy=False)
