"""What can be wrong with a picture: no annotation, no file, undecodable, of another size, there twice.

Owns which copies are told and how the declared size is compared with the real one. Refuses to look into
files: ``picture_facts`` has done that.
"""

from collections.abc import Collection, Mapping, Sequence

from detector.annotations.dataset import Annotation, Dataset
from detector.annotations.duplicates import find_near_pairs, group_equal
from detector.annotations.picture_facts import PictureFacts
from detector.annotations.problems import Problem


def check_belonging(dataset: Dataset, *, unannotated_is_background: bool) -> list[Problem]:
    """List pictures and annotation files that stand alone.

    ``annotation-without-image`` is an error. ``image-without-annotation`` is a warning, and is none where
    pictures that nobody annotated are meant to be background.
    """
    problems = []
    for image, source in zip(dataset.columns.images, dataset.columns.sources, strict=True):
        if image is None:
            message = "there is no picture of this name"
            advice = "put the picture beside it, or delete it"
            problems.append(Problem("annotation-without-image", "error", str(source), None, message, advice))
        elif source is None and not unannotated_is_background:
            message = "nobody has annotated it; it is left out"
            advice = "annotate it, or --background tells that such pictures hold no object"
            problems.append(Problem("image-without-annotation", "warning", image, None, message, advice))
    return problems


def check_pictures(dataset: Dataset, facts: Mapping[str, PictureFacts]) -> list[Problem]:
    """List ``image-undecodable`` and ``size-differs`` (errors) by what reading the pictures told."""
    problems = []
    for position, image in enumerate(dataset.columns.images):
        fact = None if image is None else facts.get(image)
        if fact is None:
            continue
        if fact.error_class is not None:
            message = f"the picture can't be used ({fact.error_class}): {fact.error_message}"
            problems.append(
                Problem("image-undecodable", "error", fact.image, None, message, "save it again or delete it")
            )
        problems += _compare_size(dataset.annotations[position], fact)
    return problems


def check_duplicates(
    dataset: Dataset, facts: Sequence[PictureFacts], *, max_distance_bits: int
) -> list[Problem]:
    """List ``image-duplicate`` (the same bytes) and ``image-near-duplicate`` (alike to the eye), warnings.

    Told of every picture but the first by name. ``duplicate-differs``, a warning too, are the same bytes
    with other boxes: training would be told two truths.
    """
    facts = sorted(facts, key=lambda fact: fact.image)
    groups = group_equal([fact.sha256 for fact in facts])
    annotations = _find_annotations(
        dataset, {facts[position].image for group in groups for position in group}
    )
    problems = []
    copies = set()
    for positions in groups:
        first = facts[positions[0]].image
        for image in (facts[position].image for position in positions[1:]):
            copies.add(image)
            problems.append(_report_copy(annotations.get(first), annotations.get(image), first, image))
    looks = [None if fact.image in copies else fact.perceptual_hash for fact in facts]
    for a, b, distance in find_near_pairs(looks, max_distance_bits=max_distance_bits):
        message = f"it looks like {facts[a].image} ({distance} of 64 bits of their hashes differ)"
        advice = "keep one, or keep both in one split (jobs/dataset.py split does)"
        problems.append(Problem("image-near-duplicate", "warning", facts[b].image, None, message, advice))
    return problems


def _find_annotations(dataset: Dataset, images: Collection[str]) -> dict[str, Annotation]:
    found = ((image, at) for at, image in enumerate(dataset.columns.images) if image is not None)
    return {image: dataset.annotations[at] for image, at in found if image in images}


def _compare_size(annotation: Annotation, fact: PictureFacts) -> list[Problem]:
    declared, real = (annotation.width_px, annotation.height_px), (fact.width_px, fact.height_px)
    if None in declared or None in real or declared == real:
        return []
    message = f"it declares {declared[0]} x {declared[1]} pixels, the picture has {real[0]} x {real[1]}"
    advice = "annotate the picture again, or put back the one that was annotated"
    if declared == real[::-1]:
        message += " when upright: it was annotated lying on its side, without its EXIF orientation"
        advice = "annotate it again; labelImg applies EXIF orientation since the end of 2020"
    return [Problem("size-differs", "error", str(annotation.source), None, message, advice)]


def _report_copy(
    first: Annotation | None, second: Annotation | None, first_image: str, image: str
) -> Problem:
    is_annotated = first is not None and second is not None and None not in (first.source, second.source)
    if is_annotated and first is not None and second is not None and _outline(first) != _outline(second):
        message = f"it has the same bytes as {first_image}, and other boxes"
        return Problem("duplicate-differs", "warning", image, None, message, "keep the one with better boxes")
    message = f"it has the same bytes as {first_image}"
    return Problem("image-duplicate", "warning", image, None, message, "delete one of the two")


def _outline(annotation: Annotation) -> list[tuple[str, tuple[float, ...]]]:
    return sorted((box.label, box.xyxy_px) for box in annotation.boxes)
