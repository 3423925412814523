"""What jobs/dataset.py's commands do with a folder: check it, split it, convert it.

Owns the order of reading, looking at pictures and writing, and the choice between this machine and Spark.
Refuses to print: what there is to say is returned.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from detector.annotations.checks import CheckOptions, check_dataset
from detector.annotations.columns import gather_columns
from detector.annotations.command_results import CheckResult, ConvertResult, SplitResult
from detector.annotations.conversion import convert_dataset
from detector.annotations.dataset import Dataset
from detector.annotations.dataset_settings import (
    CheckSettings,
    ConvertSettings,
    DatasetSettings,
    PictureSettings,
    SplitSettings,
)
from detector.annotations.grouping import group_pictures
from detector.annotations.parallel import Progress
from detector.annotations.picture_facts import Depth, PictureFacts, examine_pictures
from detector.annotations.problems import Problem
from detector.annotations.reading import read_dataset
from detector.annotations.split_manifest import SplitRow, read_split_manifest, write_split_manifest
from detector.annotations.splits import Sample, assign_splits, check_fractions, find_scarce_classes
from detector.annotations.usable import list_usable
from detector.annotations.writing import WriteOptions
from detector.errors import SettingsError
from detector.labels import LabelMap, read_label_map

Watch = Callable[[str], Progress]  # names what is being done; is told how far it is


def check_folder(settings: CheckSettings, watch: Watch) -> CheckResult:
    """Read, look at and check a folder; write the report as JSON where ``out`` is set.

    Raises ``SettingsError`` for a folder, label map or split that can't be read.
    """
    split = None if settings.split is None else read_split_manifest(settings.split)
    labels = None if settings.labels is None else read_label_map(settings.labels)
    dataset, problems = _read(settings, watch)
    is_any_needed = settings.pictures != "names" or split is not None
    facts = _examine(settings, dataset, settings.pictures, watch) if is_any_needed else []
    options = CheckOptions(
        unannotated_is_background=settings.background,
        known_labels=None if labels is None else frozenset(labels.names.values()),
        cluster_iou=settings.cluster_iou,
        canvas_px=settings.canvas_px,
        rare_fraction=settings.rare_fraction,
        max_distance_bits=settings.near_bits,
        pictures_read=settings.pictures,
    )
    report = check_dataset(dataset, problems, facts, split=split, options=options)
    if settings.out is not None:
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(report.to_json(), ensure_ascii=False, indent=1)
        settings.out.write_text(content + "\n", encoding="utf-8")
    return CheckResult(report, settings.page)


def split_folder(settings: SplitSettings, watch: Watch) -> SplitResult:
    """Split a folder's usable pictures and write the manifest; unusable ones are among the problems.

    Raises ``SettingsError`` for fractions that don't sum to 1, a folder without usable pictures, and a
    manifest that would be replaced.
    """
    check_fractions(settings.fractions)
    dataset, problems = _read(settings, watch)
    facts = _examine(settings, dataset, "pixels", watch)
    by_image = {fact.image: fact for fact in facts}
    problems += [_report_undecodable(fact) for fact in facts if fact.error_class is not None]
    usable = list(list_usable(dataset, by_image, unannotated_is_background=settings.background))
    if not usable:
        raise SettingsError(f"{settings.folder} holds no annotated picture: run jobs/dataset.py check")
    images = [str(annotation.image) for annotation in usable]
    groups = group_pictures([by_image[image] for image in images], max_distance_bits=settings.near_bits)
    labels = [tuple(sorted({box.label for box in annotation.boxes})) for annotation in usable]
    samples = [Sample(image, own, groups[image]) for image, own in zip(images, labels, strict=True)]
    splits = assign_splits(samples, settings.fractions, seed=settings.seed)
    rows = [
        SplitRow(
            sample.image,
            splits[sample.image],
            sample.group,
            sample.labels,
            str(by_image[sample.image].sha256),
        )
        for sample in samples
    ]
    write_split_manifest(rows, settings.out, overwrite=settings.overwrite)
    wanted = sum(fraction > 0 for fraction in settings.fractions.values())
    scarce = find_scarce_classes(samples, wanted)
    return SplitResult(tuple(settings.fractions), tuple(sorted(rows)), settings.out, (*problems, *scarce))


def convert_folder(settings: ConvertSettings, watch: Watch) -> ConvertResult:
    """Write a folder, or one part of its split, in another format.

    Tells what was lost, and which files could not be read. Raises ``SettingsError`` for a split or label map
    that can't be read, a part that the split has not, and what the format can't do without.
    """
    labels = LabelMap() if settings.labels is None else read_label_map(settings.labels)
    wanted = None if settings.split is None else _choose_part(settings.split, settings.part)
    dataset, problems = _read(settings, watch)
    if wanted is not None:
        chosen = (annotation for annotation in dataset.annotations if str(annotation.image) in wanted)
        dataset = replace(dataset, annotations=gather_columns(chosen))
    options = WriteOptions(
        pictures=settings.pictures,
        labels=tuple(labels.names[class_id] for class_id in sorted(labels.names)),
        background=settings.background,
        uri_prefix=settings.uri_prefix,
        shards=settings.shards,
    )
    losses = convert_dataset(dataset, settings.to, settings.out, options)
    pictures = sum(image is not None for image in dataset.columns.images)
    boxes = sum(dataset.count_boxes().values())
    return ConvertResult(settings.to, settings.out, pictures, boxes, tuple(losses), tuple(problems))


def _choose_part(manifest: Path, part: str | None) -> frozenset[str]:
    rows = read_split_manifest(manifest)
    images = frozenset(row.image for row in rows if row.split == part)
    if not images:
        parts = ", ".join(sorted({row.split for row in rows}))
        raise SettingsError(f"{manifest} has no part {part!r}: choose one of {parts}")
    return images


def _read(settings: DatasetSettings, watch: Watch) -> tuple[Dataset, list[Problem]]:
    return read_dataset(
        settings.folder,
        format=settings.format,
        images=settings.images,
        annotations=settings.annotations,
        workers=settings.workers,
        progress=watch("annotations"),
    )


def _examine(settings: PictureSettings, dataset: Dataset, depth: Depth, watch: Watch) -> list[PictureFacts]:
    images = list(dict.fromkeys(image for image in dataset.columns.images if image is not None))
    if settings.wants_spark(len(images)):
        return _examine_on_spark(settings, dataset.root, images, depth)
    return examine_pictures(
        dataset.root,
        images,
        depth=depth,
        max_pixels=settings.max_pixels,
        threads=settings.workers,
        progress=watch("pictures"),
    )


def _examine_on_spark(
    settings: PictureSettings, root: Path, images: Sequence[str], depth: Depth
) -> list[PictureFacts]:
    # Imported here: --help, and folders of some hundred pictures, need no Spark.
    from detector.annotations.distributed import examine_pictures_on_spark
    from detector.session import open_session

    spark = open_session("detector dataset", master=settings.spark.master, conf=settings.spark.conf)
    return examine_pictures_on_spark(spark, root, images, depth=depth, max_pixels=settings.max_pixels)


def _report_undecodable(fact: PictureFacts) -> Problem:
    message = f"left out, the picture can't be used ({fact.error_class}): {fact.error_message}"
    return Problem("image-undecodable", "error", fact.image, None, message, "save it again or delete it")
