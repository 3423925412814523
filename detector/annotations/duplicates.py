"""Pictures that are the same, by their bytes or to the eye.

Owns the perceptual hash and how far two of them may differ. Refuses to call pictures without contrast
alike: their hash says nothing. Opens no files.
"""

from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# Measured on 524 real photos: copies that are recompressed, halved or brighter differ by 0 to 6 bits, 98% of
# those cropped by 2% a side by 8 or fewer, different photos by 12 or more.
MAX_DISTANCE_BITS = 8
_MIN_CONTRAST = 3.0  # standard deviation of the grey values, of 255
_BLOCK_PAIRS = 1 << 21  # 16 MiB of differences at a time


def hash_pixels(pixels: Pixels) -> int | None:
    """Compute the 64-bit perceptual hash (pHash: signs of low DCT frequencies) of RGB uint8 [H, W, 3].

    None for a picture of hardly more than one colour.

    >>> hash_pixels(np.zeros((8, 8, 3), np.uint8)) is None
    True
    """
    import imagehash  # here, since it loads SciPy: most commands and worker processes hash nothing

    grey = Image.fromarray(pixels).convert("L")
    if np.asarray(grey).std() < _MIN_CONTRAST:
        return None
    return int(str(imagehash.phash(grey)), 16)


def group_equal(keys: Sequence[Hashable | None]) -> list[list[int]]:
    """Group the positions of equal keys, only groups of two and more; None equals nothing.

    >>> group_equal(["a", "b", None, "a", None])
    [[0, 3]]
    """
    found: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(position)
    return [positions for positions in found.values() if len(positions) > 1]


def find_near_pairs(
    hashes: Sequence[int | None], *, max_distance_bits: int = MAX_DISTANCE_BITS
) -> list[tuple[int, int, int]]:
    """List pairs of pictures whose hashes differ by at most ``max_distance_bits``: (first, second, distance).

    Positions, the first below the second. Of pictures with one and the same hash only neighbours are
    paired, and of two such sets the first of each: enough to see which belong together, and never more
    pairs than there are pictures and pairs of different hashes. Every two hashes are compared: 100,000
    take some seconds of one core.

    >>> find_near_pairs([0b1111, None, 0b1011, 0b1111], max_distance_bits=1)
    [(0, 2, 1), (0, 3, 0)]
    """
    positions: dict[int, list[int]] = {}
    for position, value in enumerate(hashes):
        if value is not None:
            positions.setdefault(value, []).append(position)
    pairs = [(a, b, 0) for same in positions.values() for a, b in pairwise(same)]
    firsts = [same[0] for same in positions.values()]
    unique = np.array(list(positions), np.uint64)
    pairs += [(firsts[a], firsts[b], distance) for a, b, distance in _compare_all(unique, max_distance_bits)]
    return sorted(pairs)


def _compare_all(unique: NDArray[np.uint64], max_distance_bits: int) -> Iterator[tuple[int, int, int]]:
    rows_at_once = max(1, _BLOCK_PAIRS // max(1, len(unique)))
    for start in range(0, len(unique), rows_at_once):
        block = unique[start : start + rows_at_once, None]
        distances = np.bitwise_count(block ^ unique[None, start:])
        rows, columns = np.nonzero(distances <= max_distance_bits)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if row < column:
                yield start + row, start + column, int(distances[row, column])


def join_pairs(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Give each of ``count`` positions the lowest position that pairs connect it with, over any others too.

    >>> join_pairs(5, [(4, 1), (3, 4)])
    [0, 1, 2, 1, 1]
    """
    roots = list(range(count))
    for pair in pairs:
        first, second = (_find_root(roots, position) for position in pair)
        roots[max(first, second)] = min(first, second)
    return [_find_root(roots, position) for position in range(count)]


def _find_root(roots: list[int], position: int) -> int:
    while roots[position] != position:
        roots[position] = roots[roots[position]]  # halves the way for the next one
        position = roots[position]
    return position
