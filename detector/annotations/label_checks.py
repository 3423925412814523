"""What can be wrong with the names of classes: unknown ones, nearly equal ones, ones that hardly occur.

Owns what "nearly equal" and "far rarer" mean. Refuses to rename. Opens no files.
"""

import re
import statistics
from collections.abc import Collection, Mapping
from itertools import combinations

import numpy as np

from detector.annotations.dataset import Dataset
from detector.annotations.problems import Problem

RARE_FRACTION = 0.1
_MIN_LETTERS = 4  # shorter names differ by one letter on purpose: car, cat
_TYPO_FRACTION = 0.2


def check_labels(
    dataset: Dataset, *, known: Collection[str] | None = None, rare_fraction: float = RARE_FRACTION
) -> list[Problem]:
    """List what is wrong with class names, one problem for each class, at the first box that has it.

    ``class-unknown``, an error: not among the ``known`` names of a label map, where one is given.
    ``class-blanks``: blanks around the name. ``class-nearly-equal``: equal to a more frequent name but for
    case, blanks, "-" and "_", or, where it is far rarer, but for one letter. ``class-rare``: fewer boxes
    than ``rare_fraction`` of the median of the other classes, those left out whose names are mistaken.
    These are warnings.
    """
    counts = dataset.count_boxes()
    places = _find_first_places(dataset)
    mistaken = _find_nearly_equal(counts, known or ()) | _find_unknown(counts, known)
    meant = {label: count for label, count in counts.items() if label not in mistaken}
    found = _find_rare(meant, rare_fraction) | mistaken
    severity = {"class-unknown": "error"}
    return [
        Problem(code, severity.get(code, "warning"), *places[label], message, advice)  # type: ignore[arg-type]
        for label, (code, message, advice) in sorted(found.items())
    ]


def normalise_label(label: str) -> str:
    """Take out of a name what people don't see or don't mean: case, blanks, hyphens and underscores.

    >>> normalise_label(" Traffic_Light ") == normalise_label("traffic light")
    True
    """
    return re.sub(r"[\s_\-]+", "", label).casefold()


def is_one_typo_apart(first: str, second: str) -> bool:
    """Tell whether one letter added, missing, exchanged or misplaced makes one name of the other.

    Names that differ in a digit, or are shorter than four letters, are not.

    >>> is_one_typo_apart("raccoon", "racoon"), is_one_typo_apart("door1", "door2")
    (True, False)
    """
    if re.sub(r"\D", "", first) != re.sub(r"\D", "", second) or min(len(first), len(second)) < _MIN_LETTERS:
        return False
    return first != second and not _drop_one_letter(first).isdisjoint(_drop_one_letter(second))


def _drop_one_letter(name: str) -> set[str]:
    return {name, *(name[:place] + name[place + 1 :] for place in range(len(name)))}


def _find_first_places(dataset: Dataset) -> dict[str, tuple[str, int | None]]:
    columns = dataset.columns
    rows = np.unique(columns.label, return_index=True)[1]  # as many as there are labels: all of them occur
    owners, boxes = (
        columns.owner[rows].tolist(),
        [columns.list_boxes(row, row + 1)[0] for row in rows.tolist()],
    )
    return {box.label: (columns.name_file(owner), box.line) for owner, box in zip(owners, boxes, strict=True)}


def _find_unknown(
    counts: Mapping[str, int], known: Collection[str] | None
) -> dict[str, tuple[str, str, str]]:
    if known is None:
        return {}
    meant = {normalise_label(name): name for name in known}
    found = {}
    for label in counts.keys() - set(known):
        near = meant.get(normalise_label(label)) or next(
            (name for name in known if is_one_typo_apart(name, label)), None
        )
        hint = f"; did you mean {near!r}?" if near else ""
        message = f"class {label!r} of {_count_boxes(counts[label])} is not in the label map{hint}"
        found[label] = ("class-unknown", message, "rename it, or add it to the label map")
    return found


def _find_nearly_equal(counts: Mapping[str, int], known: Collection[str]) -> dict[str, tuple[str, str, str]]:
    found = {}
    for label in counts:
        if label != label.strip():
            message = f"class {label!r} has blanks around its name"
            found[label] = ("class-blanks", message, "take the blanks out of <name>")
    for frequent, label in combinations(counts, 2):  # counts are sorted, the most frequent first
        is_same = normalise_label(frequent) == normalise_label(label)
        is_typo = counts[label] <= _TYPO_FRACTION * counts[frequent] and is_one_typo_apart(frequent, label)
        if (is_same or is_typo) and label not in found and not {frequent, label} <= set(known):
            rare = f"class {label!r} of {_count_boxes(counts[label])}"
            message = f"{rare} is nearly {frequent!r} of {counts[frequent]:,}"
            found[label] = ("class-nearly-equal", message, "rename it if both are the same class")
    return found


def _find_rare(counts: Mapping[str, int], rare_fraction: float) -> dict[str, tuple[str, str, str]]:
    found = {}
    for label, count in counts.items():
        others = [other for name, other in counts.items() if name != label]
        if others and count < rare_fraction * statistics.median(others):
            usual = f"the others {statistics.median(others):g} (median)"
            message = f"class {label!r} has {_count_boxes(count)}, {usual}"
            found[label] = ("class-rare", message, "annotate more of it, or weigh it in training")
    return found


def _count_boxes(count: int) -> str:
    return f"{count:,} box{'' if count == 1 else 'es'}"
