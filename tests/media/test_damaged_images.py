"""Which bytes are refused, with which error, and that nothing else is ever raised."""

import contextlib
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.errors import (
    DamagedImageError,
    EmptyMediaError,
    MediaError,
    NotAnImageError,
    TooManyPixelsError,
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "PPM")
ODD_IMAGES = Path(__file__).resolve().parents[3] / "shared" / "data" / "images_odd"
ODD_NAMES = sorted(path.name for path in ODD_IMAGES.iterdir()) if ODD_IMAGES.is_dir() else ["absent"]
DECODE_AND_MEASURE = """
import resource, sys
from detector.errors import TooManyPixelsError
from detector.media.decoding import decode_image
content = sys.stdin.buffer.read()
before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_image(content, max_pixels=120_000_000)
except TooManyPixelsError as error:
    print(error.width_px, error.height_px, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib)
"""


@pytest.mark.data
@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_pictures_decode_or_raise_media_errors(decode, data_pack, name):
    """Every odd file gives pixels that fit its size, or a MediaError with a short message."""
    content = (data_pack / "images_odd" / name).read_bytes()
    message = ""
    try:
        decoded = decode(content)
    except MediaError as error:
        message = str(error)
    assert len(message) < 200
    assert "0x" not in message
    if not message:
        assert decoded.pixels.shape == (decoded.height_px, decoded.width_px, 3)
        assert decoded.pixels.flags.c_contiguous
        assert decoded.pixels.flags.writeable


@pytest.mark.parametrize("cut", [1, 2, 3, 20, 500])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_damaged(draw_scene, encode, decode, cut, progressive):
    """A JPEG that lacks its end is never shown as a picture, whatever part of it is there."""
    content = encode(draw_scene(), "JPEG", quality=95, progressive=progressive)[:-cut]
    with pytest.raises(DamagedImageError) as caught:
        decode(content)
    assert (caught.value.width_px, caught.value.height_px) == (96, 64)


def test_end_mark_behind_missing_pixels_is_damaged(draw_scene, encode, decode):
    """Setting an end mark doesn't make half a JPEG whole."""
    content = encode(draw_scene(), "JPEG", quality=95)
    with pytest.raises(DamagedImageError):
        decode(content[: len(content) // 2] + b"\xff\xd9")


def test_harmless_jpeg_warning_still_decodes(draw_scene, encode, decode):
    """Stray bytes before the end mark, which some cameras write, cost nothing."""
    content = encode(draw_scene(), "JPEG", quality=95)
    assert decode(content[:-2] + b"\0\0\0" + content[-2:] + b"\0" * 64).width_px == 96


def test_jpeg_of_endless_scans_is_damaged(draw_scene, encode, decode):
    """A small file that asks for thousands of passes over its pixels is refused at once."""
    content = encode(draw_scene(), "JPEG", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    with pytest.raises(DamagedImageError, match="scans"):
        decode(content[:-2] + scan * 1000 + content[-2:])


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "PPM"])
def test_half_a_file_is_damaged(encode, decode, image_format):
    """The first half of any format raises DamagedImageError."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = encode(Image.fromarray(noise), image_format)
    with pytest.raises(DamagedImageError):
        decode(content[: len(content) // 2])


def test_no_bytes_and_other_bytes(decode):
    """Nothing is empty, text is no image, and a document that Pillow could render isn't either."""
    with pytest.raises(EmptyMediaError):
        decode(b"")
    for content in (
        b"hello, world",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7\n",
        b"<svg/>",
    ):
        with pytest.raises(NotAnImageError):
            decode(content)


def make_png_bomb(side: int) -> bytes:
    """Make a PNG of side x side black pixels, a thousandth of their size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_bomb_is_refused_by_its_header():
    """A 20,000 x 20,000 PNG of 50 KB is refused with its size, and memory stays flat."""
    content = make_png_bomb(20_000)
    assert len(content) < 60_000
    command = [sys.executable, "-c", DECODE_AND_MEASURE]
    output = subprocess.run(command, input=content, capture_output=True, check=True).stdout
    width_px, height_px, grown_kib = map(int, output.split())
    assert (width_px, height_px) == (20_000, 20_000)
    assert grown_kib < 16 * 1024


def test_tiff_with_a_huge_tile_is_refused(decode):
    """A tile's size counts, not only the picture's."""
    tags = [
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 1),
        (262, 1),
        (322, 40_000),
        (323, 40_000),
        (324, 200),
        (325, 64),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    content = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(200)
    with pytest.raises(TooManyPixelsError):
        decode(content)


def test_text_bomb_is_damaged(encode, decode):
    """A PNG whose compressed comment unpacks to more than Pillow's limit is refused."""
    content = encode(Image.new("L", (8, 8)), "PNG")
    text = b"Comment\0\0" + zlib.compress(bytes(80 << 20), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    with pytest.raises(DamagedImageError):
        decode(content[:33] + chunk + content[33:])


def test_limit_itself_is_allowed(draw_scene, encode, decode):
    """Exactly max_pixels decode; one fewer allowed doesn't."""
    content = encode(draw_scene(), "PNG")
    assert decode(content, max_pixels=96 * 64).width_px == 96
    with pytest.raises(TooManyPixelsError):
        decode(content, max_pixels=96 * 64 - 1)


@settings(max_examples=150, deadline=None)
@given(image_format=st.sampled_from(FORMATS), data=st.data())
def test_damage_never_raises_anything_else(draw_scene, encode, decode, image_format, data):
    """Flipped bits and cut ends give pixels or a MediaError."""
    content = bytearray(encode(draw_scene(), image_format))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(MediaError):
        decode(bytes(content[:end]), max_pixels=1_000_000, canvas_hw=(32, 32))


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(1, 10_000))
def test_no_prefix_of_a_jpeg_decodes(draw_scene, encode, decode, cut):
    """Whatever is cut off a JPEG, it is refused."""
    content = encode(draw_scene(), "JPEG")
    content = content[: -min(cut, len(content))]
    with pytest.raises(MediaError):
        decode(content)
