"""The ground truth of a data set's pictures, as the metrics take it.

Owns the way from annotations to ``ImageTruth``: which pictures count, one box for each object, names to the
model's class ids, sizes of the upright pictures. Refuses classes that the model doesn't know, by name,
unless told to leave them out; pictures whose size can't be read; and pictures that aren't there.

A box without area, or with swapped corners, is in the truth and to be ignored: nobody can find it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from detector.annotations.clusters import merge_boxes
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.parallel import map_in_order
from detector.annotations.sizes import read_upright_size
from detector.annotations.split_manifest import SplitRow
from detector.errors import EvaluationError
from detector.evaluation.truth import ImageTruth, make_truth

CLUSTER_IOU = 0.5
_SHOWN_NAMES = 10


def build_truths(
    dataset: Dataset,
    names_to_ids: Mapping[str, int],
    images: Collection[str] | None = None,
    *,
    cluster_iou: float | None = CLUSTER_IOU,
    ignore_unknown: bool = False,
    unannotated_is_background: bool = False,
    workers: int | None = None,
) -> list[ImageTruth]:
    """Give the ground truth of each picture, named by its path below the data set's root, ordered.

    ``names_to_ids`` are the model's classes; ``images`` the pictures wanted, None for all. Boxes of one class
    that overlap by more than ``cluster_iou`` are one object, their mean box; None merges nothing.
    ``ignore_unknown`` leaves out the boxes of classes without an id. Which pictures: ``select_annotations``.
    Boxes are edges in pixels of the upright picture.

    Raises ``EvaluationError`` that names classes without an id, wanted pictures that aren't in the data set,
    a picture whose header can't be read, and where no picture is left.
    """
    annotations = select_annotations(dataset, images, unannotated_is_background=unannotated_is_background)
    if not ignore_unknown:
        refuse_unknown(count_unknown(annotations, names_to_ids), names_to_ids)
    paths = [dataset.root / annotation.image for annotation in annotations if annotation.image is not None]
    sizes = map_in_order(read_upright_size, paths, workers=workers)
    build = partial(_build_truth, names_to_ids=names_to_ids, cluster_iou=cluster_iou)
    return [build(annotation, size) for annotation, size in zip(annotations, sizes, strict=True)]


def select_annotations(
    dataset: Dataset, images: Collection[str] | None = None, *, unannotated_is_background: bool = False
) -> list[Annotation]:
    """Select the annotations that have a picture, and of these the wanted ones.

    ``images`` None wants all that somebody annotated, and the rest where ``unannotated_is_background``; a
    picture that is wanted by its name and that nobody annotated is background. Raises ``EvaluationError``
    where a wanted picture isn't there, or none is left.
    """
    takes_all = unannotated_is_background or images is not None
    usable = {
        annotation.image.as_posix(): annotation
        for annotation in dataset.annotations
        if annotation.image is not None and (annotation.source is not None or takes_all)
    }
    wanted = usable.keys() if images is None else set(images)
    if missing := sorted(wanted - usable.keys()):
        raise EvaluationError(
            f"{len(missing)} wanted pictures are not below {dataset.root}, the first is {missing[0]}: was "
            "the split made from this folder?"
        )
    if not wanted:
        raise EvaluationError(f"no annotated picture of {dataset.root} is wanted: check data.split_name")
    return [annotation for name, annotation in usable.items() if name in wanted]


def select_split(rows: Iterable[SplitRow], split: str) -> list[str]:
    """List the pictures of one split; raises ``EvaluationError`` that names the splits there are.

    >>> select_split([SplitRow("a.jpg", "test", "a.jpg", (), "")], "test")
    ['a.jpg']
    """
    rows = list(rows)
    images = [row.image for row in rows if row.split == split]
    if not images:
        known = ", ".join(sorted({row.split for row in rows})) or "none"
        raise EvaluationError(f"the split's manifest has no pictures in {split!r}; its splits: {known}")
    return images


def count_unknown(annotations: Iterable[Annotation], names_to_ids: Mapping[str, int]) -> dict[str, int]:
    """Count the boxes of each class that has no id, by name."""
    labels = (box.label for annotation in annotations for box in annotation.boxes)
    return dict(sorted(Counter(label for label in labels if label not in names_to_ids).items()))


def refuse_unknown(unknown: Mapping[str, int], names_to_ids: Mapping[str, int]) -> None:
    """Raise ``EvaluationError`` that names the classes without an id, if there are any."""
    if not unknown:
        return
    shown = ", ".join(f"{name} ({count} boxes)" for name, count in list(unknown.items())[:_SHOWN_NAMES])
    more = f" and {len(unknown) - _SHOWN_NAMES} more" if len(unknown) > _SHOWN_NAMES else ""
    known = ", ".join(list(names_to_ids)[:_SHOWN_NAMES]) or "none: give its label map"
    raise EvaluationError(
        f"the model knows no class {shown}{more}; it knows {known}"
        f"{', ...' if len(names_to_ids) > _SHOWN_NAMES else ''}. Rename the classes, or leave their boxes out"
    )


def map_names(names: Mapping[int, str]) -> dict[str, int]:
    """Turn a label map's names by id into ids by name; the lowest id keeps a name that two have.

    >>> map_names({1: "cat", 2: "dog", 7: "cat"})
    {'cat': 1, 'dog': 2}
    """
    ids: dict[str, int] = {}
    for class_id, name in sorted(names.items()):
        ids.setdefault(name, class_id)
    return ids


def _build_truth(
    annotation: Annotation,
    size_wh: tuple[int, int] | None,
    *,
    names_to_ids: Mapping[str, int],
    cluster_iou: float | None,
) -> ImageTruth:
    image = Path(annotation.image or "").as_posix()
    if size_wh is None:
        raise EvaluationError(f"{image}: the picture's size can't be read: run jobs/dataset.py check")
    boxes: Sequence[Box] = [box for box in annotation.boxes if box.label in names_to_ids]
    if cluster_iou is not None:
        boxes = merge_boxes(boxes, cluster_iou)
    return make_truth(
        image,
        size_wh,
        [_order_corners(box) for box in boxes],
        [names_to_ids[box.label] for box in boxes],
        difficult=[box.difficult for box in boxes],
        ignore=[not _has_area(box) for box in boxes],
    )


def _has_area(box: Box) -> bool:
    return box.xyxy_px[0] < box.xyxy_px[2] and box.xyxy_px[1] < box.xyxy_px[3]


def _order_corners(box: Box) -> list[float]:
    x_min, y_min, x_max, y_max = box.xyxy_px
    return [min(x_min, x_max), min(y_min, y_max), max(x_min, x_max), max(y_min, y_max)]
