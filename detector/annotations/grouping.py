"""Which pictures belong so closely together that no two splits may share them.

Owns the three reasons: the same bytes, alike to the eye, frames of one clip. Opens no files.
"""

from collections.abc import Sequence
from itertools import pairwise

from detector.annotations.duplicates import MAX_DISTANCE_BITS, find_near_pairs, group_equal, join_pairs
from detector.annotations.frame_names import parse_clip
from detector.annotations.picture_facts import PictureFacts


def group_pictures(
    facts: Sequence[PictureFacts], *, max_distance_bits: int = MAX_DISTANCE_BITS
) -> dict[str, str]:
    """Name for each image its group: the first image, by name, of all that any chain of reasons joins.

    Frames are told by their names, as ``frame_names`` makes them, in whatever folder they are.

    >>> group_pictures([PictureFacts("b.jpg", sha256="1"), PictureFacts("a.jpg", sha256="1")])
    {'a.jpg': 'a.jpg', 'b.jpg': 'a.jpg'}
    """
    facts = sorted(facts, key=lambda fact: fact.image)
    equal = group_equal([fact.sha256 for fact in facts])
    equal += group_equal([parse_clip(fact.image) for fact in facts])
    pairs = [pair for positions in equal for pair in pairwise(positions)]
    hashes = [fact.perceptual_hash for fact in facts]
    pairs += [(a, b) for a, b, _ in find_near_pairs(hashes, max_distance_bits=max_distance_bits)]
    roots = join_pairs(len(facts), pairs)
    return {fact.image: facts[root].image for fact, root in zip(facts, roots, strict=True)}
