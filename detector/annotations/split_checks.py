"""What can be wrong between a dataset and its split: one picture on both sides, pictures that changed.

Owns what counts as the same picture in two splits. Refuses to assign anything. Opens no files.
"""

from collections.abc import Collection, Mapping, Sequence

from detector.annotations.duplicates import find_near_pairs, join_pairs
from detector.annotations.picture_facts import PictureFacts
from detector.annotations.problems import Problem, Severity
from detector.annotations.split_manifest import SplitRow

_SPLIT_AGAIN = "split again with jobs/dataset.py split"
_KINDS = {"image": "name", "sha256": "bytes", "group": "group or clip"}


def check_split(
    rows: Sequence[SplitRow],
    facts: Mapping[str, PictureFacts],
    *,
    expected: Collection[str],
    max_distance_bits: int,
) -> list[Problem]:
    """Compare a split's rows with the pictures that are there; ``expected`` are those it should name.

    Errors: ``split-overlap`` (the same image, bytes or group in two splits) and ``split-image-missing`` (no
    such picture). Warnings: ``split-near-overlap`` (alike to the eye), ``split-image-changed`` (other bytes
    than when it was split) and ``split-image-new`` (in no split).
    """
    problems = []
    for row in rows:
        fact = facts.get(row.image)
        if fact is None:
            problems.append(_report("split-image-missing", "error", row.image, "the split names it"))
        elif fact.sha256 is not None and fact.sha256 != row.sha256:
            message = "the file has changed since it was split"
            problems.append(_report("split-image-changed", "warning", row.image, message))
    for image in sorted(set(expected) - {row.image for row in rows}):
        message = "it is in no split, and neither trained nor tested on"
        problems.append(_report("split-image-new", "warning", image, message))
    return problems + find_overlaps(rows, facts, max_distance_bits=max_distance_bits)


def find_overlaps(
    rows: Sequence[SplitRow], facts: Mapping[str, PictureFacts], *, max_distance_bits: int
) -> list[Problem]:
    """List ``split-overlap`` and ``split-near-overlap`` alone: one picture, or its like, in two splits."""
    problems = []
    told: set[str] = set()
    for kind, word in _KINDS.items():
        seen: dict[str, SplitRow] = {}
        for row in rows:
            first_row = seen.setdefault(getattr(row, kind), row)
            if first_row.split != row.split and row.image not in told:
                told.add(row.image)
                message = (
                    f"it is in {row.split}, and {first_row.image} of the same {word} in {first_row.split}"
                )
                problems.append(_report("split-overlap", "error", row.image, message))
    return problems + _find_near_overlaps(rows, facts, max_distance_bits, told)


def _find_near_overlaps(
    rows: Sequence[SplitRow], facts: Mapping[str, PictureFacts], max_distance_bits: int, told: set[str]
) -> list[Problem]:
    """List each picture that stands, by a chain of alike ones, in another split than the chain's first."""
    hashes = [facts[row.image].perceptual_hash if row.image in facts else None for row in rows]
    pairs = [(a, b) for a, b, _ in find_near_pairs(hashes, max_distance_bits=max_distance_bits)]
    problems = []
    for row, root in zip(rows, join_pairs(len(rows), pairs), strict=True):
        first = rows[root]
        if first.split != row.split and row.image not in told:
            message = f"it is in {row.split}, and {first.image}, which looks like it, in {first.split}"
            problems.append(_report("split-near-overlap", "warning", row.image, message))
    return problems


def _report(code: str, severity: Severity, image: str, message: str) -> Problem:
    return Problem(code, severity, image, None, message, _SPLIT_AGAIN)
