"""Which picture and which annotation file belong together.

Owns the rules, all of them by name. Refuses to guess among several pictures: what is ambiguous is left out
and named as a problem.

A picture and an annotation file belong together when (the first rule that finds any decides):
1. they lie in one folder and have the same stem: ``a.jpg``, ``a.xml``;
2. their paths are equal once the folders that only tell the kind are taken out (``FOLDERS_OF_A_KIND``, or the
   two folders given): ``train/images/x/a.jpg``, ``train/annotations/x/a.xml``;
3. no other picture below the root that is still alone has that stem.
Extensions count in any case, stems exactly.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector.annotations.columns import AnnotationColumns
from detector.annotations.files import IMAGE_NAMES, list_files, place_inside
from detector.annotations.problems import Problem
from detector.annotations.rows import FileRows

XML_NAMES = re.compile(r".+\.xml")
FOLDERS_OF_A_KIND = frozenset(
    {"images", "image", "img", "imgs", "jpegimages", "annotations", "annotation", "labels", "xml", "xmls"}
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and its annotation file, relative to the root with "/" between folders; one may be None."""

    image: str | None
    source: str | None


@dataclass
class _Matching:
    """Work in progress: sources still alone, pairs (source to image), images that are left out."""

    images: list[str]
    sources: list[str]
    problems: list[Problem]
    paired: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)


def find_pairs(
    root: Path,
    names: re.Pattern[str] = XML_NAMES,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
) -> tuple[list[Pair], list[Problem]]:
    """Find pictures and annotation files (whose lower-case names match ``names``) below ``root``; pair them.

    ``images`` and ``annotations`` are folders inside ``root`` (absolute or relative to it) in which alone the
    one or the other are looked for. Pairs are ordered by the image's path, else the source's. Raises
    ``SettingsError`` for a folder that is not there or not inside ``root``.
    """
    image_folder, source_folder = place_inside(root, images), place_inside(root, annotations)
    matching = _list_both(root, names, image_folder, source_folder)
    _match(matching, _cut_suffix)
    _match(matching, lambda path: _strip_folders(path, (image_folder, source_folder)))
    _match(matching, lambda path: _cut_suffix(path).rpartition("/")[2], only_alone=True)
    pairs = [Pair(image, source) for source, image in matching.paired.items()]
    taken = {*matching.paired.values(), *matching.left_out}
    pairs += [Pair(image, None) for image in matching.images if image not in taken]
    pairs += [Pair(None, source) for source in matching.sources]
    return sorted(pairs, key=lambda pair: pair.image or pair.source or ""), matching.problems


def place_rows(found: FileRows, pairs: Sequence[Pair]) -> AnnotationColumns:
    """Give each pair its annotation: ``found`` are those of the pairs with a source, in order.

    Pairs whose source is refused are left out; pairs without a source have no boxes.
    """
    kept = [pair for pair in pairs if pair.source not in found.refused]
    filled = [pair.source is not None for pair in kept]
    return AnnotationColumns(
        found.rows, [pair.image for pair in kept], [pair.source for pair in kept], filled
    )


def strip_kind_folders(path: str) -> str:
    """Take the folders that only tell the kind of their files out of a relative path.

    >>> strip_kind_folders("train/images/x/a.jpg")
    'train/x/a.jpg'
    """
    *folders, name = path.split("/")
    return "/".join([*(part for part in folders if part.lower() not in FOLDERS_OF_A_KIND), name])


def _list_both(root: Path, names: re.Pattern[str], image_folder: str, source_folder: str) -> _Matching:
    if image_folder != source_folder:
        images, problems = list_files(root, IMAGE_NAMES, image_folder)
        sources, more = list_files(root, names, source_folder)
        return _Matching(images, sources, list(dict.fromkeys([*problems, *more])))
    either = re.compile(f"{IMAGE_NAMES.pattern}|{names.pattern}")
    found, problems = list_files(root, either, image_folder)
    images, sources = list[str](), list[str]()
    for path in found:
        is_image = IMAGE_NAMES.fullmatch(path.rpartition("/")[2].lower())
        (images if is_image else sources).append(path)
    return _Matching(images, sources, problems)


def _match(matching: _Matching, rule: Callable[[str], str], *, only_alone: bool = False) -> None:
    if not matching.sources:
        return
    owners = {image: source for source, image in matching.paired.items()}
    candidates: dict[str, list[str]] = {}
    for image in matching.images:
        if not (only_alone and (image in owners or image in matching.left_out)):
            candidates.setdefault(rule(image), []).append(image)
    alone = []
    for source in matching.sources:
        found = candidates.get(rule(source), [])
        if not found:
            alone.append(source)
        elif len(found) > 1:
            matching.left_out.update(image for image in found if image not in owners)
            matching.problems.append(_report_images(source, found))
        elif found[0] in owners:
            matching.problems.append(_report_sources(source, found[0], owners[found[0]]))
        else:
            matching.paired[source] = found[0]
            owners[found[0]] = source
    matching.sources = alone


def _report_images(source: str, images: Iterable[str]) -> Problem:
    message = f"it may belong to each of {', '.join(sorted(images)[:5])}; none of them is used"
    return Problem("several-images", "error", source, None, message, "give each picture a name of its own")


def _report_sources(source: str, image: str, owner: str) -> Problem:
    message = f"{image} has the annotations of {owner} already; these are not used"
    return Problem("several-annotations", "error", source, None, message, "remove one of the two files")


def _strip_folders(path: str, given: tuple[str, str]) -> str:
    for folder in given:
        if folder and path.startswith(folder + "/"):
            return _cut_suffix(path[len(folder) + 1 :])
    return _cut_suffix(strip_kind_folders(path))


def _cut_suffix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0]}"
