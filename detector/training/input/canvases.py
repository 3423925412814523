"""Pictures on the network's canvas: decoded as scoring decodes, resized as the exported model resizes.

Owns the canvas's border and filter, and where canvases are kept between epochs. Refuses a cache that memory
or disk can't hold, before training starts. Safe in many threads at once.

Scoring's own canvases are shrunk by area average from JPEGs of reduced size: fast, and on photos 1.6 to 3.5
grey levels away from what the exported model makes of the whole picture. Here Pillow's bilinear filter
shrinks the whole picture; it is the triangle filter of ``tf.image.resize(antialias=True)``, .3 away, which is
the rounding to whole levels.
"""

import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.boxes import Letterbox, compute_letterbox
from detector.errors import MediaError, SettingsError
from detector.media.decoding import decode_image
from detector.media.filesystem import FileAccess, read_content
from detector.training.input.examples import Example

Pixels = NDArray[np.uint8]
Cache = Literal["memory", "disk", "none"]

BORDER = 127  # mid-grey, as in exported models
_MEMORY_PART = 0.6  # of the machine's; the rest is for the network


def fit_to_canvas(example: Example, canvas_px: int) -> Letterbox:
    """Compute where an example's picture lies on a square canvas of ``canvas_px``."""
    return compute_letterbox((example.height_px, example.width_px), (canvas_px, canvas_px))


def decode_canvas(content: bytes, *, canvas_px: int, max_pixels: int) -> Pixels:
    """Decode one encoded picture onto its canvas: uint8 [canvas_px, canvas_px, 3], RGB, upright.

    Raises what ``decode_image`` raises.
    """
    picture = decode_image(content, max_pixels=max_pixels).pixels
    letterbox = compute_letterbox(picture.shape[:2], (canvas_px, canvas_px))
    height, width = letterbox.content_hw
    if picture.shape[:2] != (height, width):
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
    canvas = np.full((canvas_px, canvas_px, 3), BORDER, np.uint8)
    canvas[letterbox.top : letterbox.top + height, letterbox.left : letterbox.left + width] = picture
    return canvas


class Canvases:
    """The canvases of some examples, by position; decoded when first asked for and then kept.

    ``cache`` ``memory`` keeps them as arrays, ``disk`` in a file of ``folder`` that ends with the process
    however it ends, ``none`` decodes each time. Raises ``SettingsError`` where there is too little room.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        canvas_px: int,
        max_pixels: int,
        cache: Cache = "memory",
        folder: Path | None = None,
    ) -> None:
        self._examples = examples
        self._canvas_px, self._max_pixels = canvas_px, max_pixels
        shape = (len(examples), canvas_px, canvas_px, 3)
        self._kept = None if cache == "none" or not examples else _reserve(shape, cache, folder)
        self._is_kept = np.zeros(len(examples), np.bool_)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._examples)

    def read(self, position: int) -> Pixels:
        """Give the canvas of the example at ``position``: uint8 [S, S, 3], not to be written to.

        Raises ``SettingsError`` that names the picture when its file is gone, changed or can't be read.
        """
        if self._kept is None:
            return self._decode(position)
        if not self._is_kept[position]:
            canvas = self._decode(position)
            with self._lock:
                self._kept[position] = canvas
                self._is_kept[position] = True
        kept: Pixels = self._kept[position]
        return kept

    def _decode(self, position: int) -> Pixels:
        example = self._examples[position]
        try:
            content = read_content(
                str(example.path.absolute()),
                size_bytes=None,
                modified_at=None,
                access=FileAccess(()),
                follow_symlinks=True,
            )
            return decode_canvas(content, canvas_px=self._canvas_px, max_pixels=self._max_pixels)
        except MediaError as error:
            raise SettingsError(
                f"{example.path} could be decoded before and can't be now ({error.error_class()}: {error}): "
                "put it back, or start again without it"
            ) from error


def _reserve(shape: tuple[int, ...], cache: Cache, folder: Path | None) -> Pixels:
    size_bytes = int(np.prod(shape, dtype=np.int64))
    if cache == "memory":
        available = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _MEMORY_PART)
        if size_bytes > available:
            raise SettingsError(
                f"data.cache memory: {shape[0]} pictures of {shape[1]} px take {size_bytes:,} bytes, more "
                f"than {_MEMORY_PART:.0%} of this machine's memory: take data.cache disk or none"
            )
        return np.empty(shape, np.uint8)
    try:
        file = tempfile.TemporaryFile(dir=folder, prefix="canvases-")  # noqa: SIM115 (the map keeps it)
        os.posix_fallocate(file.fileno(), 0, size_bytes)  # a disk that fills up later would end the process
    except OSError as error:
        raise SettingsError(
            f"data.cache disk: {size_bytes:,} bytes can't be reserved in {folder or tempfile.gettempdir()} "
            f"({error.strerror}): free some, or take data.cache none"
        ) from error
    return np.memmap(file, np.uint8, "r+", shape=shape)
