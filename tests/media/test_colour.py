"""Pictures of every colour model come out as people see them."""

import cv2
import numpy as np
import pytest
from PIL import Image


@pytest.mark.data
def test_cmyk_photo_has_its_colours(decode, measure_difference, data_pack):
    """The Adobe CMYK JPEG and the TIFF of the same picture agree, and aren't negatives."""
    jpeg = decode((data_pack / "images_odd" / "pil_sample_cmyk.jpg").read_bytes()).pixels
    tiff = decode((data_pack / "images_odd" / "tiff_tiled_cmyk_jpeg.tif").read_bytes()).pixels
    assert measure_difference(jpeg, tiff) < 3


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 160, 0), (20, 40, 250), (255, 255, 255), (0, 0, 0)])
def test_cmyk_jpeg_keeps_its_colours(encode, decode, colour):
    """A drawn CMYK JPEG comes back in the colours that were drawn."""
    stored = Image.new("RGB", (32, 32), colour).convert("CMYK")
    pixels = decode(encode(stored, "JPEG", quality=95)).pixels
    assert np.abs(pixels.astype(int) - colour).max() <= 6


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled(encode, decode, image_format):
    """A 16-bit ramp becomes an 8-bit ramp instead of white."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    pixels = decode(encode(Image.fromarray(ramp), image_format)).pixels
    assert np.abs(pixels[0, :, 1].astype(int) - np.arange(256)).max() <= 1


def test_16_bit_colour_is_scaled(decode):
    """A 16-bit RGB PNG keeps its colours."""
    wide = np.full((8, 8, 3), (65535, 32896, 0), np.uint16)
    content = cv2.imencode(".png", wide[..., ::-1])[1].tobytes()
    assert decode(content).pixels[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 1e6])
def test_float_tiff_is_scaled_by_its_own_range(encode, decode, white):
    """Float pixels reach from black to white, whichever white they were written for."""
    ramp = np.linspace(0, white, 64, dtype=np.float32)[None]
    pixels = decode(encode(Image.fromarray(ramp), "TIFF")).pixels
    assert pixels[0, [0, -1], 0].tolist() == [0, 255]


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_lies_over_white(encode, decode, image_format):
    """Clear pixels are white, half clear ones are halfway to it."""
    image = Image.new("RGBA", (2, 1), (200, 0, 0, 0))
    image.putpixel((1, 0), (200, 0, 0, 128))
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    pixels = decode(encode(image, image_format, **options)).pixels
    assert pixels[0].tolist() == [[255, 255, 255], [227, 127, 127]]


def test_palette_and_transparent_entry(encode, decode):
    """Palette pixels take their colour; the transparent entry is white."""
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    pixels = decode(encode(image, "PNG", transparency=0)).pixels
    assert pixels[0].tolist() == [[255, 255, 255], [200, 100, 50]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255] * 3),
        ("L", 77, [77] * 3),
        ("YCbCr", (90, 128, 128), [90] * 3),
        ("LAB", (138, 209, 198), [254, 0, 0]),
    ],
)
def test_other_modes_become_rgb(encode, decode, mode, colour, expected):
    """Bilevel, grey, YCbCr and Lab TIFFs come out as RGB."""
    pixels = decode(encode(Image.new(mode, (4, 4), colour), "TIFF")).pixels
    assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 6
