"""The one image decoder: encoded bytes to upright RGB pixels, for every stage that looks at pictures.

Owns the choice of decoder, the limits checked before a pixel is decoded, EXIF orientation and the
letterboxed canvas. The content decides the format, never a name. Refuses truncated, damaged and oversized
pictures with one ``MediaError`` each; opens no files. Safe in many threads at once; simplejpeg, Pillow and
OpenCV release the GIL while they work.
"""

import io
import re
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin

from detector.boxes import Letterbox, compute_letterbox
from detector.errors import DamagedImageError, EmptyMediaError, NotAnImageError, TooManyPixelsError
from detector.media.colour import PixelArray, convert_to_rgb

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "PPM")

# Pillow keeps these for the whole process: set once here, never around a call, since threads share them.
Image.init()
Image.MAX_IMAGE_PIXELS = None  # max_pixels is checked here, and before any pixel is decoded
ImageFile.LOAD_TRUNCATED_IMAGES = False
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the caller's threads are enough
warnings.filterwarnings("ignore", module=r"PIL\.")

_ORIENTATION = 274
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_SCAN_MARKER = b"\xff\xda"
_MAX_SCANS = 500  # libjpeg-turbo's own tools stop there: each scan may cost a pass over all pixels
_FIRST_TRANSPOSED = 5  # EXIF orientations 5 to 8 swap width and height


@dataclass(frozen=True)
class DecodedImage:
    """Pixels uint8 [H, W, 3], RGB, C-contiguous: the upright image, or its canvas when one was asked for.

    ``width_px`` and ``height_px`` are those of the upright original. ``letterbox`` tells where the image
    lies on the canvas; None without a canvas.
    """

    pixels: PixelArray
    width_px: int
    height_px: int
    letterbox: Letterbox | None


def decode_image(
    content: bytes, *, max_pixels: int, canvas_hw: tuple[int, int] | None = None
) -> DecodedImage:
    """Decode one encoded picture: its first frame or page, upright by EXIF, as RGB.

    ``canvas_hw`` (height, width) letterboxes the picture on a canvas by ``compute_letterbox``: shrunk by
    area average, enlarged linearly; the border is black, as in TensorFlow's resize_with_pad and the
    padding resizers of the Object Detection API. A JPEG much larger than the canvas is decoded at reduced
    size, never below that of its content on the canvas.

    Raises ``EmptyMediaError`` without bytes, ``NotAnImageError`` for bytes of no format in ``FORMATS``,
    ``TooManyPixelsError`` when the header announces more than ``max_pixels``, ``DamagedImageError`` for
    everything that can't be decoded to its end.
    """
    if not content:
        raise EmptyMediaError("there are no bytes to decode")
    with _open_picture(content) as image:
        _refuse_oversized(image, max_pixels)
        try:
            return _decode_picture(content, image, canvas_hw)
        except Exception as error:
            height_px, width_px = _read_upright_hw(image)
            raise DamagedImageError(
                f"{image.format} of {width_px} x {height_px} pixels can't be decoded: {_explain(error)}",
                width_px=width_px,
                height_px=height_px,
            ) from error


def _open_picture(content: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except Exception as error:
        if not _begins_like_an_image(content):
            raise NotAnImageError(f"the bytes are no picture of the formats {', '.join(FORMATS)}") from error
        raise DamagedImageError(f"the picture's header can't be read: {_explain(error)}") from error


def _begins_like_an_image(content: bytes) -> bool:
    prefix = content[:16].ljust(16, b"\0")
    accepts = (Image.OPEN[name][1] for name in FORMATS)
    return any(accept is not None and accept(prefix) for accept in accepts)


def _read_orientation(image: Image.Image) -> int:
    # EXIF alone: browsers, OpenCV and labelImg ignore the copy in XMP. Pillow turns TIFFs itself.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        orientation = exif.get(_ORIENTATION)
    except Exception:  # noqa: BLE001 (hostile EXIF raises any class, and the picture is still one)
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1  # noqa: PLR2004


def _swap_sides(hw: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (hw[1], hw[0]) if orientation >= _FIRST_TRANSPOSED else hw


def _read_upright_hw(image: Image.Image) -> tuple[int, int]:
    return _swap_sides((image.height, image.width), _read_orientation(image))


def _refuse_oversized(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # a tile may be larger than its picture
        tile_sides = [image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH)]
        if all(isinstance(side, int) for side in tile_sides):
            pixels = max(pixels, tile_sides[0] * tile_sides[1])
    if pixels > max_pixels:
        height_px, width_px = _read_upright_hw(image)
        raise TooManyPixelsError(
            f"the header announces {width_px} x {height_px} pixels, {pixels:,} to decode: more than "
            f"media.max_pixels = {max_pixels:,}",
            width_px=width_px,
            height_px=height_px,
        )


def _decode_picture(
    content: bytes, image: ImageFile.ImageFile, canvas_hw: tuple[int, int] | None
) -> DecodedImage:
    is_jpeg = image.format in ("JPEG", "MPO")
    if not is_jpeg:
        _load(image)  # a PNG's EXIF may follow its pixels
    orientation = _read_orientation(image)
    header_hw = (image.height, image.width)
    source_hw = _swap_sides(header_hw, orientation)
    letterbox = None if canvas_hw is None else compute_letterbox(source_hw, canvas_hw)
    least_hw = None if letterbox is None else _swap_sides(letterbox.content_hw, orientation)
    pixels = _decode_jpeg(content, header_hw, least_hw) if is_jpeg else None
    if pixels is None:
        _load(image)
        pixels = convert_to_rgb(image)
    upright = _turn_upright(pixels, orientation)
    placed = upright if letterbox is None else _place_on_canvas(upright, letterbox)
    return DecodedImage(np.require(placed, requirements=["C", "W"]), source_hw[1], source_hw[0], letterbox)


def _load(image: ImageFile.ImageFile) -> None:
    header_size = image.size
    image.load()
    if image.size != header_size:
        raise ValueError("header and pixels disagree about the size")


def _decode_jpeg(
    content: bytes, header_hw: tuple[int, int], least_hw: tuple[int, int] | None
) -> PixelArray | None:
    """Decode by libjpeg-turbo, reduced but not below ``least_hw``; None where Pillow has to decide."""
    if content.count(_SCAN_MARKER) > _MAX_SCANS:
        raise ValueError(f"more than {_MAX_SCANS} scans")
    limits = (
        {} if least_hw is None else {"min_height": least_hw[0], "min_width": least_hw[1], "min_factor": 2}
    )
    try:
        if simplejpeg.decode_jpeg_header(content, strict=True)[:2] != header_hw:
            return None
        pixels: PixelArray = simplejpeg.decode_jpeg(content, "RGB", strict=True, **limits)
    except ValueError as error:
        # Also "premature end of data segment": an end mark behind missing pixels, which Pillow paints grey.
        if "premature end" in str(error).lower():
            raise
        return None
    return pixels


def _turn_upright(pixels: PixelArray, orientation: int) -> PixelArray:
    """Undo an EXIF orientation, 1 to 8 (TIFF 6.0, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels).astype(np.uint8, copy=False)
    axis = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if axis is None else cv2.flip(pixels, axis).astype(np.uint8, copy=False)


def _place_on_canvas(pixels: PixelArray, letterbox: Letterbox) -> PixelArray:
    height, width = letterbox.content_hw
    if pixels.shape[:2] != (height, width):
        shrinks = pixels.shape[0] > height or pixels.shape[1] > width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, (width, height), interpolation=method).astype(np.uint8, copy=False)
    canvas = np.zeros((*letterbox.canvas_hw, 3), np.uint8)
    canvas[letterbox.top : letterbox.top + height, letterbox.left : letterbox.left + width] = pixels
    return canvas


def _explain(error: Exception) -> str:
    # Decoders quote bytes of the file and addresses in memory after the first quote or bracket.
    words = re.split(r"['\"<(]", str(error))[0].strip()[:80]
    return words or type(error).__name__
