"""What training learns from: annotated pictures by split, with the boxes that can be learned.

Owns what is refused before anything starts, what is left out and named, and the digest of the data. Refuses
to mend annotations: it says what is wrong and points to ``jobs/dataset.py check``. Holds no pixels.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.annotations.commands import Watch
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.label_checks import check_labels
from detector.annotations.parallel import Progress
from detector.annotations.picture_checks import check_belonging, check_pictures
from detector.annotations.picture_facts import PictureFacts, examine_pictures
from detector.annotations.problems import Problem
from detector.annotations.reading import read_dataset
from detector.annotations.split_manifest import SplitRow
from detector.annotations.usable import list_usable
from detector.errors import SettingsError
from detector.labels import LabelMap, read_label_map
from detector.training.input.assignment import SPLITS, assign_pictures
from detector.training.input.learnable_boxes import keep_learnable_boxes
from detector.training.train_settings import DataSettings

_SHOWN_PROBLEMS = 5
_LEFT_OUT = {"image-undecodable", "annotation-without-image", "image-without-annotation"}


@dataclass(frozen=True, slots=True)
class Example:
    """One picture to learn from.

    ``name`` is the path relative to the dataset's root, with slashes; ``width_px`` and ``height_px`` are
    those of the upright picture; ``boxes`` lie inside it, have an area and a class of the label map;
    ``sha256`` is of the file's bytes.
    """

    name: str
    path: Path
    width_px: int
    height_px: int
    boxes: tuple[Box, ...]
    sha256: str


@dataclass(frozen=True)
class TrainingData:
    """A dataset as training takes it.

    ``splits`` has train, val and test, each ordered by name; ``rows`` are the same as a manifest's.
    ``problems`` tell what was left out or cut, and what makes training worse. ``digest`` (SHA-256) is of
    label map, splits, pictures' bytes and boxes.
    """

    labels: LabelMap
    dataset: Dataset
    splits: Mapping[str, tuple[Example, ...]]
    rows: tuple[SplitRow, ...]
    problems: tuple[Problem, ...]
    digest: str

    @property
    def class_count(self) -> int:
        """Give the highest class_id: a network has an output for each id from 1, also for gaps."""
        return max(self.labels.names)


def load_training_data(settings: DataSettings, watch: Watch | None = None) -> TrainingData:
    """Read, check and split a dataset; ``watch(words)`` gives a progress for each of the two passes.

    Pictures that can't be decoded, and annotations or pictures without their counterpart, are left out and
    named in ``problems``; so are boxes without area, and boxes that reach out of their picture are cut.

    Raises ``SettingsError`` for what would break training, by file and with advice: annotation files that
    can't be read, pictures of another size than annotated, classes that the label map lacks, no boxes at
    all, a manifest that does not fit, a split without pictures or boxes to learn from.
    """
    watch = watch or _watch_nothing
    dataset, read_problems = read_dataset(
        settings.root,
        format=settings.format,
        images=settings.images,
        annotations=settings.annotations,
        workers=settings.workers,
        progress=watch("annotations"),
    )
    facts = _examine(dataset, settings, watch("pictures"))
    labels = _choose_labels(dataset, settings)
    problems = [*read_problems, *_find_problems(dataset, facts, labels, settings)]
    _refuse_broken(problems, settings)
    usable = list(list_usable(dataset, facts, unannotated_is_background=settings.background))
    usable, box_problems = keep_learnable_boxes(usable, facts)
    rows, split_problems = assign_pictures(usable, facts, settings)
    problems += [*box_problems, *split_problems]
    splits = _gather_splits(dataset.root, usable, facts, rows)
    _refuse_empty(splits, settings)
    return TrainingData(labels, dataset, splits, tuple(rows), tuple(problems), compute_digest(labels, splits))


def compute_digest(labels: LabelMap, splits: Mapping[str, Sequence[Example]]) -> str:
    """Compute the SHA-256 of what is learned from: names of classes, splits, pictures' bytes, boxes."""
    pictures = [
        [split, example.name, example.sha256, [[b.label, b.xyxy_px, b.difficult] for b in example.boxes]]
        for split in sorted(splits)
        for example in splits[split]
    ]
    content = json.dumps([labels.digest(), pictures], ensure_ascii=False)
    return hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()


def _watch_nothing(_: str) -> Progress:
    return lambda _done, _total: None


def _examine(dataset: Dataset, settings: DataSettings, progress: Progress) -> dict[str, PictureFacts]:
    images = [str(annotation.image) for annotation in dataset.annotations if annotation.image is not None]
    facts = examine_pictures(
        dataset.root,
        list(dict.fromkeys(images)),
        max_pixels=settings.max_pixels,
        threads=settings.workers,
        progress=progress,
    )
    return {fact.image: fact for fact in facts}


def _choose_labels(dataset: Dataset, settings: DataSettings) -> LabelMap:
    if settings.labels is None:
        if not dataset.labels():
            raise SettingsError(
                f"data.root {settings.root}: no box is annotated in {len(dataset.annotations)} files of "
                f"format {settings.format}: {_advise(settings)}"
            )
        return LabelMap(dict(enumerate(dataset.labels(), 1)))
    labels = read_label_map(settings.labels)
    names = list(labels.names.values())
    twice = sorted({name for name in names if names.count(name) > 1})
    if min(labels.names) < 1 or twice:
        fault = f"{twice[0]!r} has two ids" if twice else "an id is below 1"
        raise SettingsError(f"data.labels {settings.labels}: {fault}; training needs one id from 1 a class")
    return labels


def _find_problems(
    dataset: Dataset, facts: Mapping[str, PictureFacts], labels: LabelMap, settings: DataSettings
) -> list[Problem]:
    problems = check_belonging(dataset, unannotated_is_background=settings.background)
    problems += check_pictures(dataset, facts)
    problems += check_labels(dataset, known=frozenset(labels.names.values()))
    seen: set[Path] = set()
    for annotation in dataset.annotations:
        if annotation.image is not None and annotation.image in seen:
            message, advice = f"{annotation.image} is annotated a second time", "delete one of the two"
            file = str(annotation.source or annotation.image)
            problems.append(Problem("image-twice", "error", file, None, message, advice))
        seen |= {annotation.image} if annotation.image is not None else set()
    return problems


def _refuse_broken(problems: Sequence[Problem], settings: DataSettings) -> None:
    broken = [p for p in problems if p.severity == "error" and p.code not in _LEFT_OUT]
    if broken:
        shown = "".join(f"\n  {problem}" for problem in sorted(broken)[:_SHOWN_PROBLEMS])
        more = f"\n  and {len(broken) - _SHOWN_PROBLEMS} more" if len(broken) > _SHOWN_PROBLEMS else ""
        raise SettingsError(
            f"data.root {settings.root} has {len(broken)} mistakes that would break training:"
            f"{shown}{more}\nmend them: {_advise(settings)}"
        )


def _gather_splits(
    root: Path,
    usable: Sequence[Annotation],
    facts: Mapping[str, PictureFacts],
    rows: Sequence[SplitRow],
) -> dict[str, tuple[Example, ...]]:
    boxes = {str(annotation.image): annotation.boxes for annotation in usable}
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for row in sorted(rows):
        fact = facts[row.image]
        size_wh = (fact.width_px or 0, fact.height_px or 0)
        example = Example(row.image, root / row.image, *size_wh, boxes[row.image], str(fact.sha256))
        splits[row.split].append(example)
    return {split: tuple(examples) for split, examples in splits.items()}


def _refuse_empty(splits: Mapping[str, Sequence[Example]], settings: DataSettings) -> None:
    for split in ("train", "val"):
        if not any(example.boxes for example in splits[split]):
            counts = ", ".join(f"{name} {len(examples)}" for name, examples in splits.items())
            what = "boxes" if splits[split] else "pictures"
            raise SettingsError(
                f"data.root {settings.root}: split {split!r} has no {what} (pictures: {counts}): annotate "
                f"more, or give other fractions or another data.split; {_advise(settings)}"
            )


def _advise(settings: DataSettings) -> str:
    return f"python jobs/dataset.py check {settings.root} --format {settings.format} tells each mistake"
