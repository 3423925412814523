"""The size of a picture as people see it: upright, and from its header alone where the format has one.

Owns the reading of headers for data sets, where decoding every picture would take an hour. Refuses to decode
a pixel, and follows the rules of ``detector.media.decoding``: EXIF alone turns a picture.
"""

import warnings
from pathlib import Path

from PIL import Image

# Set once for the whole process, as in detector.media.decoding: no pixel is decoded here.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")

_ORIENTATION_TAG = 0x0112
_FIRST_TRANSPOSED, _LAST_TRANSPOSED = 5, 8


def read_upright_size(path: Path) -> tuple[int, int] | None:
    """Read (width, height) in pixels of the upright picture; None for what is not there or no picture."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = _FIRST_TRANSPOSED <= read_orientation(image) <= _LAST_TRANSPOSED
    except Exception:  # noqa: BLE001 (headers of damaged pictures raise any class)
        return None
    return (height, width) if turned else (width, height)


def read_orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8, of a picture that is open; 1 where it has none."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        orientation = exif.get(_ORIENTATION_TAG)
    except Exception:  # noqa: BLE001 (hostile EXIF raises any class, and the picture is still one)
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= _LAST_TRANSPOSED else 1
