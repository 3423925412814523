"""What can be told of each picture file by reading it: its bytes' digest, its upright size, how it looks.

Owns the one pass over picture files that the checks and the split share. Refuses to raise for a single
picture: what can't be read or decoded is a fact with its reason.
"""

import functools
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from detector.annotations.duplicates import Pixels, hash_pixels
from detector.annotations.parallel import Progress
from detector.annotations.sizes import read_upright_size
from detector.errors import MediaError
from detector.media.decoding import DecodedImage, decode_image
from detector.media.filesystem import FileAccess, read_content

MAX_PIXELS = 120_000_000
_CANVAS_HW = (128, 128)  # enough for the hash, and a large JPEG is decoded at a fraction of its size
_QUEUED_PER_THREAD = 4

Depth = Literal["pixels", "headers", "names"]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """One picture file: sizes of the upright picture in pixels, its perceptual hash, what is wrong with it.

    ``image`` is the path relative to the dataset's root, with slashes. ``sha256`` is None where the file
    can't be read, the size where its header can't, ``perceptual_hash`` also where the picture has hardly
    any contrast. ``error_class`` and ``error_message`` are None for a picture that decodes to its end.
    """

    image: str
    size_bytes: int | None = None
    sha256: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    perceptual_hash: int | None = None
    error_class: str | None = None
    error_message: str | None = None


def examine_pictures(
    root: Path,
    images: Sequence[str],
    *,
    depth: Depth = "pixels",
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[PictureFacts]:
    """Examine each of ``images`` (paths below ``root``) once, in as many threads as there are cores.

    ``depth``: ``pixels`` reads and decodes whole files, ``headers`` finds sizes only, ``names`` opens none.
    Facts come in the order of ``images``; ``progress(done, total)`` is called after each.
    """
    if depth == "names":
        return [PictureFacts(image) for image in images]
    facts = []
    examine = choose_examination(root.absolute(), depth, max_pixels)
    for fact in _map_in_threads(examine, images, threads or os.cpu_count() or 1):
        facts.append(fact)
        if progress is not None:
            progress(len(facts), len(images))
    return facts


def choose_examination(root: Path, depth: Depth, max_pixels: int) -> Callable[[str], PictureFacts]:
    """Give the function that examines one picture below ``root``; it can be sent to another process."""
    if depth == "names":
        return PictureFacts
    if depth == "headers":
        return functools.partial(read_header, root)
    return functools.partial(examine_picture, root, max_pixels=max_pixels)


def read_header(root: Path, image: str) -> PictureFacts:
    """Read no more of one picture below ``root`` than its header: its size, or that it has none."""
    size = read_upright_size(root / image)
    if size is None:
        return PictureFacts(image, error_class="DamagedImage", error_message="its header can't be read")
    return PictureFacts(image, width_px=size[0], height_px=size[1])


def examine_picture(root: Path, image: str, *, max_pixels: int = MAX_PIXELS) -> PictureFacts:
    """Read and decode one picture below ``root``."""
    try:
        content = read_content(
            str(root / image), size_bytes=None, modified_at=None, access=FileAccess(()), follow_symlinks=True
        )
    except MediaError as error:
        return PictureFacts(image, error_class=error.error_class(), error_message=str(error))
    digest = hashlib.sha256(content).hexdigest()
    try:
        decoded = decode_image(content, max_pixels=max_pixels, canvas_hw=_CANVAS_HW)
    except MediaError as error:
        return PictureFacts(
            image,
            len(content),
            digest,
            error.width_px,
            error.height_px,
            None,
            error.error_class(),
            str(error),
        )
    look = hash_pixels(_cut_content(decoded))
    return PictureFacts(image, len(content), digest, decoded.width_px, decoded.height_px, look)


def _cut_content(decoded: DecodedImage) -> Pixels:
    box = decoded.letterbox
    if box is None:
        return decoded.pixels
    height, width = box.content_hw
    return decoded.pixels[box.top : box.top + height, box.left : box.left + width]


def _map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    # A window over the items: the executor's own map would queue all of them at once.
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        first = islice(remaining, threads * _QUEUED_PER_THREAD)
        window = deque(pool.submit(function, item) for item in first)
        while window:
            yield window.popleft().result()
            window += [pool.submit(function, item) for item in islice(remaining, 1)]
