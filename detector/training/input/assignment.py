"""Which picture is for training, validation or test: by a manifest, else by the rules of the split command.

Owns the choice between the two and what a manifest must fulfil. Opens no pictures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from detector.annotations.dataset import Annotation
from detector.annotations.duplicates import MAX_DISTANCE_BITS
from detector.annotations.grouping import group_pictures
from detector.annotations.picture_facts import PictureFacts
from detector.annotations.problems import Problem
from detector.annotations.split_checks import check_split
from detector.annotations.split_manifest import SplitRow, read_split_manifest
from detector.annotations.splits import Sample, assign_splits, find_scarce_classes
from detector.errors import SettingsError
from detector.training.train_settings import DataSettings

SPLITS = ("train", "val", "test")
_SHOWN = 5


def assign_pictures(
    usable: Sequence[Annotation], facts: Mapping[str, PictureFacts], settings: DataSettings
) -> tuple[list[SplitRow], list[Problem]]:
    """Give each usable picture its split, a row each; what is doubtful about the split comes as problems.

    ``facts`` tell of every picture of the dataset. Of a manifest, pictures that can't be decoded are left
    out. Raises ``SettingsError`` for a manifest that names pictures that are gone or that nobody annotated,
    other splits than train, val and test, or one picture for two of them.
    """
    if settings.split is None:
        return _split_here(usable, facts, settings)
    return _follow_manifest(settings.split, usable, facts)


def _split_here(
    usable: Sequence[Annotation], facts: Mapping[str, PictureFacts], settings: DataSettings
) -> tuple[list[SplitRow], list[Problem]]:
    fractions = {"train": settings.train, "val": settings.val, "test": settings.test}
    groups = group_pictures([facts[str(annotation.image)] for annotation in usable])
    samples = [
        Sample(str(own.image), tuple(sorted({box.label for box in own.boxes})), groups[str(own.image)])
        for own in usable
    ]
    splits = assign_splits(samples, fractions, seed=settings.split_seed)
    rows = [
        SplitRow(own.image, splits[own.image], own.group, own.labels, str(facts[own.image].sha256))
        for own in samples
    ]
    return rows, find_scarce_classes(samples, sum(fraction > 0 for fraction in fractions.values()))


def _follow_manifest(
    path: Path, usable: Sequence[Annotation], facts: Mapping[str, PictureFacts]
) -> tuple[list[SplitRow], list[Problem]]:
    rows = read_split_manifest(path)
    names = {str(annotation.image) for annotation in usable}
    problems = check_split(rows, facts, expected=sorted(names), max_distance_bits=MAX_DISTANCE_BITS)
    _refuse(path, [f"{p.file}: {p.message}" for p in problems if p.severity == "error"])
    _refuse(path, [f"{row.image}: unknown split {row.split!r}" for row in rows if row.split not in SPLITS])
    unusable = [row.image for row in rows if row.image not in names and facts[row.image].error_class is None]
    _refuse(path, [f"{image}: nobody annotated it, or it is not looked at" for image in unusable])
    return [row for row in rows if row.image in names], problems


def _refuse(path: Path, faults: Sequence[str]) -> None:
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise SettingsError(
            f"data.split {path} does not fit the data: {'; '.join(faults[:_SHOWN])}{more}: split again with "
            "jobs/dataset.py split, or put back what is missing"
        )
