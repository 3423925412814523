"""What all writers share: where files go, whether pictures go with them, and the account of what was lost.

Owns the target folder: each file appears whole or not at all, and no file of the data set that is being
written is ever replaced. Refuses a target that is one of its inputs.
"""

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.layout import strip_kind_folders
from detector.annotations.sizes import read_upright_size
from detector.errors import SettingsError

Pictures = Literal["reference", "copy", "link"]
Unit = Literal["boxes", "pictures", "annotation files"]

_SINGULAR = {"boxes": "box", "pictures": "picture", "annotation files": "annotation file"}


@dataclass(frozen=True)
class WriteOptions:
    """How to write, for all formats alike.

    ``pictures``: ``reference`` leaves them where they are, ``copy`` and ``link`` (a hard link, a copy where
    the file system has none) put them below ``images/``. ``labels`` gives the classes their order and leaves
    out boxes of all others; empty takes every class, by name. ``background`` also writes pictures that
    nobody annotated, as ones without objects. ``uri_prefix`` goes before each picture's path where a format
    wants a URI. ``shards`` is the number of files for TFRecord, None for one per 1,000 pictures.
    """

    pictures: Pictures = "reference"
    labels: tuple[str, ...] = ()
    background: bool = False
    uri_prefix: str = ""
    shards: int | None = None


@dataclass(frozen=True)
class Loss:
    """Something that a format can't hold: ``what`` of ``count`` things (``unit``, in plural), and why.

    >>> print(Loss("yolo", "difficult flags", 12, "boxes"))
    yolo: difficult flags of 12 boxes
    >>> print(Loss("yolo", "the whole", 1, "boxes", "no area"))
    yolo: the whole of 1 box (no area)
    """

    format: str
    what: str
    count: int
    unit: str
    reason: str = ""

    def __str__(self) -> str:
        """Write one line for a person."""
        unit = _SINGULAR[self.unit] if self.count == 1 else self.unit
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.format}: {self.what} of {self.count:,} {unit}{reason}"


class Losses:
    """The account of what one conversion to ``format`` loses."""

    def __init__(self, format: str) -> None:  # noqa: A002 (the word of the command line)
        self._format = format
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, what: str, unit: Unit = "boxes", count: int = 1, reason: str = "") -> None:
        """Count ``count`` more things of which ``what`` is lost."""
        if count:
            self._counts[what, unit, reason] += count

    def add_whole(self, reason: str, unit: Unit = "boxes", count: int = 1) -> None:
        """Count ``count`` more things that are left out."""
        self.add("the whole", unit, count, reason)

    def add_marks(self, annotation: Annotation, *names: str) -> None:
        """Count the boxes whose ``names`` (of difficult, truncated, occluded, pose) say something.

        And the picture, when it is verified.
        """
        self.add("verified marks", "pictures", int(annotation.verified))
        for name in names:
            default = "Unspecified" if name == "pose" else False
            what = "poses" if name == "pose" else f"{name} flags"
            self.add(what, count=sum(getattr(box, name) != default for box in annotation.boxes))

    def to_list(self) -> list[Loss]:
        """Give the account, the largest loss first."""
        counts = self._counts.most_common()
        return [Loss(self._format, what, count, unit, reason) for (what, unit, reason), count in counts]


class Target:
    """The folder that one conversion writes to, and the pictures' names in it."""

    def __init__(self, folder: Path, dataset: Dataset, pictures: Pictures) -> None:
        self.folder = folder
        self._root = dataset.root
        self._real_root = os.path.realpath(dataset.root)
        self._pictures = pictures
        columns = dataset.columns
        named = (path for path in (*columns.images, *columns.sources) if path is not None)
        self._inputs = {os.path.join(self._real_root, path) for path in named}  # noqa: PTH118
        self._names = _name_pictures([Path(image) for image in dict.fromkeys(columns.images) if image])

    def name_picture(self, image: Path) -> str:
        """Name a picture below ``images/`` or ``labels/``: unique also without its extension."""
        return self._names[image]

    def place_picture(self, image: Path) -> str:
        """Copy or link a picture when told to; give its path for the annotation file, with "/".

        Relative to the target folder when it was placed there, else to the data set's root.
        """
        if self._pictures == "reference":
            return image.as_posix()
        path = f"images/{self._names[image]}"
        with self._replace(path) as temporary:
            _place(self._root / image, temporary, links=self._pictures == "link")
        return path

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open one file for writing; it appears under its name when all is written."""
        with self._replace(path) as temporary, temporary.open("wb") as file:
            yield file

    def write(self, path: str, content: bytes) -> None:
        """Write one file, ``path`` relative to the folder: whole or not at all.

        Raises ``SettingsError`` when the file is one of the data set's own.
        """
        with self._replace(path) as temporary:
            temporary.write_bytes(content)

    @contextlib.contextmanager
    def _replace(self, path: str) -> Iterator[Path]:
        final = self.folder / path
        final.parent.mkdir(parents=True, exist_ok=True)
        real = os.path.join(os.path.realpath(final.parent), final.name)  # noqa: PTH118
        if real in self._inputs:
            raise SettingsError(f"{final} is part of the data set itself: choose another folder to write to")
        temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        try:
            yield temporary
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)


def select_sized(
    dataset: Dataset, options: WriteOptions, losses: Losses
) -> Iterator[tuple[Annotation, Path, tuple[int, int]]]:
    """Give what ``select_written`` gives and the pictures' (width, height); count pictures without."""
    for annotation, image in select_written(dataset, options, losses):
        size = find_size(dataset, annotation)
        if size is None:
            losses.add_whole("their size is not known", "pictures")
        else:
            yield annotation, image, size


def select_written(
    dataset: Dataset, options: WriteOptions, losses: Losses
) -> Iterator[tuple[Annotation, Path]]:
    """Give what is to be written: annotations with the boxes of wanted classes, and their pictures.

    Everything else is counted as lost.
    """
    wanted = frozenset(options.labels)
    for annotation in dataset.annotations:
        if annotation.image is None:
            losses.add_whole("the picture is missing", "annotation files")
        elif annotation.source is None and not options.background:
            losses.add_whole("nobody annotated them", "pictures")
        elif wanted and any(box.label not in wanted for box in annotation.boxes):
            boxes = tuple(box for box in annotation.boxes if box.label in wanted)
            losses.add_whole("the class is not wanted", count=len(annotation.boxes) - len(boxes))
            yield replace(annotation, boxes=boxes), annotation.image
        else:
            yield annotation, annotation.image


def list_labels(dataset: Dataset, options: WriteOptions) -> tuple[str, ...]:
    """List the classes in the order that gives them their numbers."""
    return options.labels or dataset.labels()


def find_size(dataset: Dataset, annotation: Annotation) -> tuple[int, int] | None:
    """Find (width, height) of the upright picture: its own, else the declared one, else None."""
    size = None if annotation.image is None else read_upright_size(dataset.root / annotation.image)
    if size is None and annotation.width_px and annotation.height_px:
        return annotation.width_px, annotation.height_px
    return size


def fit_boxes(boxes: tuple[Box, ...], size_wh_px: tuple[int, int], losses: Losses) -> tuple[Box, ...]:
    """Cut boxes down to the picture, and leave out those that have no area then; both are counted."""
    fitted = []
    for box in boxes:
        edges = [min(max(edge, 0.0), size_wh_px[i % 2]) for i, edge in enumerate(box.xyxy_px)]
        x_min, y_min, x_max, y_max = edges
        if x_max <= x_min or y_max <= y_min:
            losses.add_whole("no area inside the picture")
            continue
        inside = (x_min, y_min, x_max, y_max)
        if inside != box.xyxy_px:
            losses.add("parts outside the picture")
        fitted.append(replace(box, xyxy_px=inside))
    return tuple(fitted)


def _name_pictures(images: list[Path]) -> dict[Path, str]:
    # Label files are named by stem, some file systems know no case, and YOLO replaces the last "images".
    names, taken = {}, set()
    for image in images:
        name = Path(strip_kind_folders(image.as_posix()))
        stem, number = name.stem, 1
        while name.with_suffix("").as_posix().lower() in taken:
            number += 1
            name = name.with_name(f"{stem}_{number}{name.suffix}")
        taken.add(name.with_suffix("").as_posix().lower())
        names[image] = name.as_posix()
    return names


def _place(source: Path, target: Path, *, links: bool) -> None:
    if links:
        with contextlib.suppress(OSError):  # another file system, or one without links
            os.link(source, target)
            return
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise SettingsError(f"{source} can't be copied: {error.strerror}") from error
