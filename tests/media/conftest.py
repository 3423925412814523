"""Drawn pictures, and short names for encoding, decoding and comparing them."""

import io

import numpy as np
import pytest
from PIL import Image

from detector.media.decoding import decode_image


@pytest.fixture(scope="session")
def draw_scene():
    """Draw a smooth picture without any symmetry."""

    def draw(width=96, height=64) -> Image.Image:
        y, x = np.mgrid[0:height, 0:width]
        scene = np.stack([x * 255 // width, y * 255 // height, 255 - x * 200 // width], axis=-1)
        scene[: height // 3, : width // 4] = (250, 30, 30)
        return Image.fromarray(scene.astype(np.uint8))

    return draw


@pytest.fixture(scope="session")
def encode():
    """Encode a picture in memory."""

    def encode_picture(image: Image.Image, image_format: str, **options) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, image_format, **options)
        return buffer.getvalue()

    return encode_picture


@pytest.fixture(scope="session")
def decode():
    """Decode with the default limit."""

    def decode_content(content: bytes, **options):
        return decode_image(content, **{"max_pixels": 120_000_000, **options})

    return decode_content


@pytest.fixture(scope="session")
def measure_difference():
    """Give the mean absolute difference of two pictures of one shape."""

    def measure(a, b) -> float:
        assert a.shape == b.shape
        return float(np.abs(a.astype(int) - b.astype(int)).mean())

    return measure
