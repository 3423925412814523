"""Drawn pictures as files, the way people have them: formats, folders, a clip, a turned one, two broken ones.

Owns the demo's folder. The bytes follow from the seed; a file that already holds them is left alone, so
that nothing looks new to the next run.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from detector.annotations.drawn_clip import encode_drawn_clip
from detector.annotations.shapes import Pixels, draw_picture, seed_generator

_SIZES_WH = ((320, 240), (640, 480), (480, 640), (480, 360), (600, 400), (400, 400), (360, 480), (640, 360))
_FOLDERS = ("", "kitchen", "garden/spring", "garden/summer holiday")
_JPEG_QUALITY = 90
_CLIP_SECONDS = 6
_ROTATE_90_CW = 6
_ORIENTATION_TAG = 0x0112


def write_demo_pictures(folder: Path, *, count: int, seed: int) -> int:
    """Write ``count`` drawn pictures, a clip and two broken files below ``folder``; return how many were new.

    Mostly JPEG, each fourth a PNG; the third is a WebP, the sixth a JPEG stored lying on its side with
    EXIF orientation 6. Beside them ``garden/walk_along_shapes.mp4``, and ``broken/cut_short.jpg``, half of a
    JPEG, and ``broken/empty.jpg``.
    """
    written = 0
    for name, content in _list_files(count, seed):
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += 1
    return written


def _list_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    generator = seed_generator("demo", seed)
    for number in range(1, count + 1):
        width, height = _SIZES_WH[int(generator.integers(len(_SIZES_WH)))]
        pixels, _, _ = draw_picture(generator, height_px=height, width_px=width)
        suffix, content = _encode(pixels, number)
        yield f"{_FOLDERS[number // 3 % len(_FOLDERS)]}/shapes_{number:03}{suffix}".lstrip("/"), content
    pixels, _, _ = draw_picture(generator, height_px=480, width_px=640)
    whole = _encode_jpeg(pixels)
    yield "broken/cut_short.jpg", whole[: len(whole) // 2]
    yield "broken/empty.jpg", b""
    yield "garden/walk_along_shapes.mp4", encode_drawn_clip(generator, seconds=_CLIP_SECONDS)


def _encode(pixels: Pixels, number: int) -> tuple[str, bytes]:
    if number == 3:  # noqa: PLR2004
        return ".webp", _encode_as(pixels, "WEBP")
    if number == 6:  # noqa: PLR2004
        return ".jpg", _encode_jpeg(np.rot90(pixels), orientation=_ROTATE_90_CW)
    if number % 4 == 0:
        return ".png", _encode_as(pixels, "PNG")
    return ".jpg", _encode_jpeg(pixels)


def _encode_jpeg(pixels: Pixels, *, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=_JPEG_QUALITY, exif=exif)
    return content.getvalue()


def _encode_as(pixels: Pixels, picture_format: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, picture_format, lossless=False)
    return content.getvalue()
