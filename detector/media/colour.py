"""Any Pillow mode as 8-bit RGB: the picture that people see in a viewer.

Owns the rules for grey, palette, alpha, CMYK, Lab, 16-bit and float pixels. Refuses nothing that Pillow
has loaded; opens and loads nothing itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

PixelArray = NDArray[np.uint8]

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0


def convert_to_rgb(image: Image.Image) -> PixelArray:
    """Convert a loaded picture of any mode to RGB, uint8 [H, W, 3].

    Alpha (also a transparent palette entry or colour) is laid over white, as a page shows it. 16-bit
    grey keeps its upper 8 bits of the depth that the file declares, as Pillow and OpenCV do for 16-bit
    colour. 32-bit integers and floats follow ``scale_open_range``. Embedded colour profiles aren't
    applied, as OpenCV and TensorFlow don't.

    >>> convert_to_rgb(Image.new("LA", (1, 1), (0, 255))).tolist()
    [[[0, 0, 0]]]
    """
    if image.mode.startswith("I;16"):
        return _stack_grey(_scale_16_bits(image))
    if image.mode == "I" and image.format == "PPM":  # Pillow has scaled any maximum to 65535
        return _stack_grey((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        return _stack_grey(_invert_where_white_is_zero(image, scale_open_range(np.asarray(image))))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def scale_open_range(values: NDArray[Any]) -> PixelArray:
    """Scale numbers without a declared white point to uint8, any shape.

    White is 1 where no finite value is above 1, else 255, else 65535, else the highest value: the first
    that nothing exceeds. Black is 0; negative values and NaN are black. Integers start at 255.

    >>> scale_open_range(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    >>> scale_open_range(np.array([0, 257, 65535], np.int32)).tolist()
    [0, 1, 255]
    """
    finite = values[np.isfinite(values)]
    highest = float(finite.max(initial=0))
    whites = (255, 65535) if np.issubdtype(values.dtype, np.integer) else (1, 255, 65535)
    white = next((white for white in whites if highest <= white), highest)
    known = np.nan_to_num(values.astype(np.float32), nan=0, posinf=white, neginf=0)
    scaled: PixelArray = np.rint(np.clip(known / white, 0, 1) * 255).astype(np.uint8)
    return scaled


def _scale_16_bits(image: Image.Image) -> PixelArray:
    values = np.asarray(image)
    bits = 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (bits,))[0]
    grey = _invert_where_white_is_zero(image, (values >> (bits - 8)).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, np.uint8(255), grey)
    return grey


def _invert_where_white_is_zero(image: Image.Image, grey: PixelArray) -> PixelArray:
    # Pillow inverts such TIFFs of up to 8 bits itself, and leaves deeper ones as negatives.
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return grey
    return 255 - grey if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey


def _stack_grey(grey: PixelArray) -> PixelArray:
    return np.repeat(grey[..., None], 3, axis=2)
