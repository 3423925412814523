"""Which picture is for training, which for validation, which for the test.

Owns the stratification: each class, and pictures without boxes, in each split in its share; groups stay
whole; the same seed gives the same splits in whatever order the pictures come. Refuses fractions that don't
sum to 1. Opens no files.

The method is iterative stratification (Sechidis, Tsoumakas and Vlahavas, On the stratification of multi-label
data, ECML PKDD 2011), with groups of pictures in place of single ones; no library found does both.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.annotations.problems import Problem
from detector.errors import SettingsError

_NO_BOXES = ""
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to assign: its path, the sorted names of the classes in it, the group it stays with."""

    image: str
    labels: tuple[str, ...]
    group: str


def assign_splits(
    samples: Sequence[Sample], fractions: Mapping[str, float], *, seed: int = 0
) -> dict[str, str]:
    """Assign each sample's image to one of the splits named in ``fractions``: image to split.

    The images are distinct. A split of fraction 0 gets nothing; every other one gets at least one group where
    there are as many groups as splits. Large groups make the shares inexact.

    Raises ``SettingsError`` where the fractions are negative, no numbers, or don't sum to 1.

    >>> found = assign_splits([Sample(f"{n}.jpg", ("cat",), str(n)) for n in range(10)], {"a": 0.7, "b": 0.3})
    >>> sorted(found.values()).count("a")
    7
    """
    check_fractions(fractions)
    names = [name for name, fraction in fractions.items() if fraction > 0]
    groups = _rank_groups({sample.group for sample in samples}, seed)
    counts = _count_images(samples, groups)
    shares = np.array([fractions[name] for name in names])
    chosen = _stratify(counts, shares)
    _fill_empty_splits(chosen, counts[:, -1], shares)
    split_of = {group: names[split] for group, split in zip(groups, chosen.tolist(), strict=True)}
    return {sample.image: split_of[sample.group] for sample in samples}


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise ``SettingsError`` unless the fractions are from 0 to 1 and sum to 1.

    >>> check_fractions({"train": 0.8, "val": 0.1, "test": 0.1})
    """
    words = ", ".join(f"{name} {fraction:g}" for name, fraction in fractions.items())
    if not all(math.isfinite(fraction) and fraction >= 0 for fraction in fractions.values()):
        raise SettingsError(f"fractions of a split are from 0 to 1, not {words}")
    if abs(sum(fractions.values()) - 1) > _SUM_TOLERANCE:
        raise SettingsError(f"the fractions sum to {sum(fractions.values()):g}, not to 1: {words}")


def find_scarce_classes(samples: Iterable[Sample], splits: int) -> list[Problem]:
    """List a warning for each class in fewer groups than there are splits: one of them lacks it."""
    groups: dict[str, set[str]] = {}
    for sample in samples:
        for label in sample.labels:
            groups.setdefault(label, set()).add(sample.group)
    return [
        Problem(
            "class-scarce",
            "warning",
            ".",
            None,
            f"class {label!r} is in {len(found)} independent pictures, fewer than the {splits} splits",
            "annotate more pictures of it, or don't trust its figures",
        )
        for label, found in sorted(groups.items())
        if len(found) < splits
    ]


def _rank_groups(groups: Iterable[str], seed: int) -> list[str]:
    # A digest of each name is a shuffle that does not depend on which other groups there are.
    return sorted(
        groups, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode(errors="surrogateescape")).digest()
    )


def _count_images(samples: Sequence[Sample], groups: Sequence[str]) -> NDArray[np.int64]:
    """Count the images of each group per label: int64 [groups, labels + 1], the last column of all images."""
    labels = sorted({label for sample in samples for label in sample.labels or (_NO_BOXES,)})
    rows = {group: row for row, group in enumerate(groups)}
    columns = {label: column for column, label in enumerate(labels)}
    counts = np.zeros((len(groups), len(labels) + 1), np.int64)
    for sample in samples:
        row = rows[sample.group]
        counts[row, -1] += 1
        for label in set(sample.labels or (_NO_BOXES,)):
            counts[row, columns[label]] += 1
    return counts


def _stratify(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose a split for each group: int64 [groups]. The rarest remaining label is dealt out first."""
    wanted = np.outer(shares, counts.sum(axis=0))
    remaining = counts[:, :-1].sum(axis=0)
    chosen = np.full(len(counts), -1, np.int64)
    while (remaining > 0).any():
        label = int(np.argmin(np.where(remaining > 0, remaining, np.iinfo(np.int64).max)))
        rows = np.flatnonzero((chosen < 0) & (counts[:, label] > 0))
        for row in rows[np.argsort(-counts[rows, -1], kind="stable")].tolist():
            split = _pick_split(wanted, label)
            chosen[row] = split
            wanted[split] -= counts[row]
            remaining -= counts[row, :-1]
    return chosen


def _pick_split(wanted: NDArray[np.float64], label: int) -> int:
    # Rounded, since sums of fractions that are equal on paper differ in their last digits.
    keys = np.round(wanted[:, [label, -1]], 6)
    return max(range(len(keys)), key=lambda split: (keys[split, 0], keys[split, 1], -split))


def _fill_empty_splits(
    chosen: NDArray[np.int64], images: NDArray[np.int64], shares: NDArray[np.float64]
) -> None:
    """Move the smallest group of the fullest split into each empty one, while a split has two groups."""
    for split in range(len(shares)):
        held = np.bincount(chosen, minlength=len(shares))
        if held[split] or held.max(initial=0) <= 1:
            continue
        excess = np.bincount(chosen, images, len(shares)) - shares * images.sum()
        donor = int(np.argmax(np.where(held > 1, excess, -np.inf)))
        rows = np.flatnonzero(chosen == donor)
        chosen[rows[np.argmin(images[rows])]] = split
