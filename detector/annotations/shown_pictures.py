"""Which pictures of a dataset a page should show, with their boxes: those with problems, the gravest first.

Owns the choice and the boxes' place on the upright picture. Opens no files.
"""

from collections.abc import Iterator, Mapping, Sequence

from detector.annotations.dataset import Annotation, Dataset
from detector.annotations.dataset_report import ShownBox, ShownPicture
from detector.annotations.picture_facts import PictureFacts
from detector.annotations.problems import Problem

MAX_PICTURES = 60
_RANKS = {"error": 0, "warning": 1, "note": 2}


def choose_pictures(
    dataset: Dataset,
    problems: Sequence[Problem],
    facts: Mapping[str, PictureFacts],
    *,
    max_pictures: int = MAX_PICTURES,
) -> tuple[ShownPicture, ...]:
    """Choose up to ``max_pictures`` pictures: with problems, the gravest first, then any by name.

    Only pictures whose size is known are chosen: by reading them, else as declared.
    """
    about: dict[str, list[Problem]] = {}
    for problem in problems:
        about.setdefault(problem.file, []).append(problem)
    class_ids = {label: number for number, label in enumerate(dataset.labels(), 1)}
    shown: list[ShownPicture] = []
    for position in _rank_pictures(dataset, about):
        if len(shown) == max_pictures:
            break
        annotation = dataset.annotations[position]
        size = find_size(annotation, facts)
        if size is not None:
            own = _find_problems(dataset, position, about)
            shown.append(_show(dataset, annotation, size, own, facts, class_ids))
    return tuple(shown)


def find_size(annotation: Annotation, facts: Mapping[str, PictureFacts]) -> tuple[int, int] | None:
    """Find (width, height) in pixels of an annotation's picture: its own, else as declared, else None."""
    fact = facts.get(str(annotation.image))
    if fact is not None and fact.width_px and fact.height_px:
        return fact.width_px, fact.height_px
    if annotation.width_px and annotation.height_px:
        return annotation.width_px, annotation.height_px
    return None


def _find_problems(
    dataset: Dataset, position: int, about: Mapping[str, list[Problem]]
) -> tuple[Problem, ...]:
    files = dict.fromkeys((dataset.columns.images[position], dataset.columns.sources[position]))
    return tuple(problem for file in files if file is not None for problem in about.get(file, ()))


def _rank_pictures(dataset: Dataset, about: Mapping[str, list[Problem]]) -> Iterator[int]:
    # Those without problems, nearly all of 100,000, stand in the order of their names already.
    columns = dataset.columns
    faulty = {
        position: (_rank(_find_problems(dataset, position, about)), image)
        for position, (image, source) in enumerate(zip(columns.images, columns.sources, strict=True))
        if image is not None and (image in about or source in about)
    }
    yield from sorted(faulty, key=faulty.__getitem__)
    for position, image in enumerate(columns.images):
        if image is not None and position not in faulty:
            yield position


def _rank(problems: Sequence[Problem]) -> int:
    return min((_RANKS[problem.severity] for problem in problems), default=len(_RANKS))


def _show(
    dataset: Dataset,
    annotation: Annotation,
    size_wh: tuple[int, int],
    problems: tuple[Problem, ...],
    facts: Mapping[str, PictureFacts],
    class_ids: Mapping[str, int],
) -> ShownPicture:
    image = str(annotation.image)
    fact = facts.get(image)
    faulty_lines = {problem.line for problem in problems if problem.line is not None}
    boxes = sorted(annotation.boxes, key=lambda box: -box.area_px)
    return ShownPicture(
        image=image,
        path=str((dataset.root / image).absolute()),
        size_bytes=(fact.size_bytes if fact is not None else None) or 0,
        width_px=size_wh[0],
        height_px=size_wh[1],
        boxes=tuple(
            ShownBox(box.label, class_ids[box.label], *_place(box.xyxy_px, size_wh), box.line in faulty_lines)
            for box in boxes
        ),
        problems=problems,
    )


def _place(
    xyxy_px: tuple[float, float, float, float], size_wh: tuple[int, int]
) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = xyxy_px
    left, right = sorted((x_min / size_wh[0], x_max / size_wh[0]))
    top, bottom = sorted((y_min / size_wh[1], y_max / size_wh[1]))
    cut = [min(1.0, max(0.0, edge)) for edge in (left, top, right, bottom)]
    return cut[0], cut[1], cut[2], cut[3]
