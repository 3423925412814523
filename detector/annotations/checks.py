"""The check of a dataset: everything that is in it, and everything that is wrong with it, in one report.

Owns which checks there are and in which order their problems are told. Refuses to read files: the dataset,
the readers' problems and the facts about the pictures come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.annotations.box_checks import check_boxes
from detector.annotations.box_measures import fit_anchors, measure_boxes
from detector.annotations.box_table import BoxTable, build_box_table, find_overlapping
from detector.annotations.clusters import cluster_boxes
from detector.annotations.dataset import Dataset
from detector.annotations.dataset_report import ClassCount, ClusterCount, Report
from detector.annotations.duplicates import MAX_DISTANCE_BITS
from detector.annotations.folder_splits import list_folder_split
from detector.annotations.label_checks import RARE_FRACTION, check_labels
from detector.annotations.picture_checks import check_belonging, check_duplicates, check_pictures
from detector.annotations.picture_facts import Depth, PictureFacts
from detector.annotations.problems import Problem
from detector.annotations.rows import FLAGS
from detector.annotations.shown_pictures import MAX_PICTURES, choose_pictures, find_size
from detector.annotations.split_checks import check_split, find_overlaps
from detector.annotations.split_manifest import SplitRow
from detector.annotations.usable import list_usable

_RANKS = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class CheckOptions:
    """What decides what is a problem.

    ``unannotated_is_background``: pictures that nobody annotated are meant to have no objects.
    ``known_labels``: the names of a label map; None takes every name. ``cluster_iou``: boxes of one class
    that overlap this much are of one object. ``canvas_px``: the side of the model's input, for the
    anchors. ``pictures_read``: how closely ``facts`` looked at the pictures.
    """

    unannotated_is_background: bool = False
    known_labels: frozenset[str] | None = None
    cluster_iou: float = 0.5
    canvas_px: int = 640
    rare_fraction: float = RARE_FRACTION
    max_distance_bits: int = MAX_DISTANCE_BITS
    pictures_read: Depth = "pixels"
    max_pictures: int = MAX_PICTURES


def check_dataset(
    dataset: Dataset,
    problems: Sequence[Problem],
    facts: Sequence[PictureFacts],
    *,
    split: Sequence[SplitRow] | None = None,
    options: CheckOptions | None = None,
) -> Report:
    """Check a dataset as it was read, with the ``problems`` its reader found.

    ``facts`` tell of its pictures, in any order, of all or of some; what they don't tell is not checked.
    ``split`` are a manifest's rows, to compare with; None takes folders called train, val and test for the
    splits, where they are there. Problems come the gravest first, then by file.
    """
    options = options or CheckOptions()
    by_image = {fact.image: fact for fact in facts}
    table = build_box_table(dataset, _choose_sizes(dataset, by_image))
    found = [*problems, *_find_problems(dataset, table, by_image, split, options)]
    found.sort(key=lambda problem: (_RANKS[problem.severity], problem.file, problem.line or 0, problem.code))
    return Report(
        root=str(dataset.root),
        pictures_read=options.pictures_read,
        unannotated_is_background=options.unannotated_is_background,
        **_count_images(dataset, problems, options),
        **_count_boxes(dataset),
        classes=_count_classes(dataset),
        measures=measure_boxes(table),
        anchors=fit_anchors(table, canvas_px=options.canvas_px),
        clusters=_count_clusters(dataset, table, options.cluster_iou),
        problems=tuple(found),
        pictures=choose_pictures(dataset, found, by_image, max_pictures=options.max_pictures),
    )


def _find_problems(
    dataset: Dataset,
    table: BoxTable,
    facts: Mapping[str, PictureFacts],
    split: Sequence[SplitRow] | None,
    options: CheckOptions,
) -> list[Problem]:
    is_background = options.unannotated_is_background
    found = check_belonging(dataset, unannotated_is_background=is_background)
    found += check_boxes(dataset, table)
    found += check_labels(dataset, known=options.known_labels, rare_fraction=options.rare_fraction)
    found += check_pictures(dataset, facts)
    found += check_duplicates(dataset, list(facts.values()), max_distance_bits=options.max_distance_bits)
    if split is None:
        rows = list_folder_split(dataset, facts)
        found += find_overlaps(rows, facts, max_distance_bits=options.max_distance_bits)
    else:
        usable = list_usable(dataset, facts, unannotated_is_background=is_background)
        expected = [str(annotation.image) for annotation in usable]
        found += check_split(split, facts, expected=expected, max_distance_bits=options.max_distance_bits)
    return found


def _choose_sizes(dataset: Dataset, facts: Mapping[str, PictureFacts]) -> NDArray[np.int64]:
    # Where the two differ, that is the fault to tell, and not that every box is outside.
    sizes_wh_px = dataset.columns.size_wh_px
    for position in np.flatnonzero(sizes_wh_px[:, 0] == 0).tolist() if facts else ():
        sizes_wh_px[position] = find_size(dataset.annotations[position], facts) or (0, 0)
    return sizes_wh_px


def _count_images(dataset: Dataset, problems: Sequence[Problem], options: CheckOptions) -> dict[str, int]:
    columns = dataset.columns
    has_image = np.array([image is not None for image in columns.images], np.bool_)
    has_source = np.array([source is not None for source in columns.sources], np.bool_)
    annotated, alone = has_image & has_source, int((has_image & ~has_source).sum())
    refused = {problem.file for problem in problems if problem.severity == "error"}
    refused -= {problem.file for problem in problems if problem.code == "folder-unreadable"}
    read = {source for source in columns.sources if source is not None}
    refused -= read
    is_background = options.unannotated_is_background
    return {
        "images": int(has_image.sum()),
        "annotated": int(annotated.sum()),
        "background": int((annotated & (columns.box_counts == 0)).sum()) + (alone if is_background else 0),
        "unannotated": 0 if is_background else alone,
        "left_out": len(refused),
        "annotation_files": len(read) + len(refused),
    }


def _count_boxes(dataset: Dataset) -> dict[str, int]:
    columns = dataset.columns
    flags = dict(zip(FLAGS, columns.flags.sum(axis=0).tolist(), strict=True))
    return {"verified": int(columns.verified.sum()), "boxes": len(columns.label), **flags}


def _count_classes(dataset: Dataset) -> tuple[ClassCount, ...]:
    images = dataset.count_images()
    return tuple(ClassCount(label, boxes, images[label]) for label, boxes in dataset.count_boxes().items())


def _count_clusters(dataset: Dataset, table: BoxTable, min_iou: float) -> ClusterCount:
    columns, objects, boxes, found = dataset.columns, 0, 0, list[str]()
    for owner in find_overlapping(table, min_iou=min_iou).tolist():  # the others can't have any
        rows = columns.find_rows(owner)
        labels = [table.labels[label] for label in table.label[rows].tolist()]
        sizes = np.bincount(cluster_boxes(table.xyxy_px[rows].astype(np.float32), labels, min_iou))
        objects += int((sizes > 1).sum())
        boxes += int(sizes[sizes > 1].sum())
        if (sizes > 1).any():
            found.append(columns.images[owner] or columns.name_file(owner))
    return ClusterCount(min_iou, objects, boxes, len(found), tuple(sorted(found)))
