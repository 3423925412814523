"""All images of one evaluation, side by side in flat columns: what every metric is computed from.

Owns the pairing of ground truth with detections by image name, and the order of detections: best score first,
ties in the order of images and then as given, so that each metric breaks them alike. Refuses an image that
has a name twice, no result, or another size in its result (a sign of an orientation lost on the way).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import EvaluationError
from detector.evaluation.results import ImageResult
from detector.evaluation.truth import BoolArray, FloatArray, ImageTruth, IntArray


@dataclass(frozen=True, eq=False)
class TruthColumns:
    """Ground truth of all images, in their order: N rows.

    ``image_rows`` and ``class_rows`` int64 [N] point into the sample's ``images`` and ``class_ids``;
    ``boxes_xyxy_px`` float64 [N, 4]; ``difficult``, ``crowd`` and ``ignore`` bool [N].
    """

    image_rows: IntArray
    class_rows: IntArray
    boxes_xyxy_px: FloatArray
    difficult: BoolArray
    crowd: BoolArray
    ignore: BoolArray

    @property
    def counted(self) -> BoolArray:
        """Tell which boxes a detector has to find: bool [N]."""
        return ~(self.difficult | self.crowd | self.ignore)


@dataclass(frozen=True, eq=False)
class ResultColumns:
    """Detections of all images, best score first: M rows of the columns of ``TruthColumns``, and a score."""

    image_rows: IntArray
    class_rows: IntArray
    boxes_xyxy_px: FloatArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class Sample:
    """The images of one evaluation.

    ``class_ids`` int64 [C] are those of truth and results together, ascending. ``sizes_wh`` int64 [I, 2] in
    pixels. ``labelled`` holds for each image the class ids that somebody looked for, None for all.
    """

    images: tuple[str, ...]
    sizes_wh: IntArray
    class_ids: IntArray
    truth: TruthColumns
    results: ResultColumns
    labelled: tuple[IntArray | None, ...]


def gather_sample(truths: Sequence[ImageTruth], results: Sequence[ImageResult]) -> Sample:
    """Put all images side by side; the results may come in any order.

    Raises ``EvaluationError`` unless each image of the truth has exactly one result of the same size, which
    may be empty, and there is no other result.
    """
    ordered = _order_results(truths, results)
    class_ids = np.unique(
        _join([image.class_ids for images in (truths, ordered) for image in images], np.int64)
    )
    return Sample(
        images=tuple(truth.image for truth in truths),
        sizes_wh=np.array([(truth.width_px, truth.height_px) for truth in truths], np.int64).reshape(-1, 2),
        class_ids=class_ids,
        truth=_gather_truth(truths, class_ids),
        results=_gather_results(ordered, class_ids),
        labelled=tuple(truth.labelled_class_ids for truth in truths),
    )


def select_results(results: ResultColumns, rows: BoolArray | IntArray) -> ResultColumns:
    """Keep some detections: ``rows`` is a mask bool [M], or ascending rows."""
    return ResultColumns(
        results.image_rows[rows], results.class_rows[rows], results.boxes_xyxy_px[rows], results.scores[rows]
    )


def rank_in_image(results: ResultColumns, class_count: int) -> IntArray:
    """Count up the detections of one class in one image, best first from 0: int64 [M]."""
    keys = results.image_rows * max(class_count, 1) + results.class_rows
    order = np.argsort(keys, kind="stable")
    places = np.arange(len(keys), dtype=np.int64)
    ranks = np.empty_like(places)
    ranks[order] = places - np.searchsorted(keys[order], keys[order])
    return ranks


def _order_results(truths: Sequence[ImageTruth], results: Sequence[ImageResult]) -> list[ImageResult]:
    by_image = {result.image: result for result in results}
    wanted = {truth.image for truth in truths}
    if len(wanted) < len(truths) or len(by_image) < len(results):
        raise EvaluationError(
            f"{len(truths)} images of {len(wanted)} names, {len(results)} results of {len(by_image)}: each "
            "name may stand once in the ground truth and once in the results"
        )
    _refuse_unequal("have no result; give an empty one where nothing was found", wanted - by_image.keys())
    _refuse_unequal("have a result but no ground truth", by_image.keys() - wanted)
    ordered = [by_image[truth.image] for truth in truths]
    for truth, result in zip(truths, ordered, strict=True):
        if (truth.width_px, truth.height_px) != (result.width_px, result.height_px):
            raise EvaluationError(
                f"{truth.image} is {truth.width_px} x {truth.height_px} pixels in the ground truth and "
                f"{result.width_px} x {result.height_px} in the results: both must be of the upright image"
            )
    return ordered


def _refuse_unequal(what: str, images: set[str]) -> None:
    if images:
        raise EvaluationError(f"{len(images)} images {what}; the first is {min(images)}")


def _gather_truth(truths: Sequence[ImageTruth], class_ids: IntArray) -> TruthColumns:
    return TruthColumns(
        _repeat_rows(truths),
        np.searchsorted(class_ids, _join([truth.class_ids for truth in truths], np.int64)),
        _join([truth.boxes_xyxy_px for truth in truths], np.float64).reshape(-1, 4),
        _join([truth.difficult for truth in truths], np.bool_),
        _join([truth.crowd for truth in truths], np.bool_),
        _join([truth.ignore for truth in truths], np.bool_),
    )


def _gather_results(results: Sequence[ImageResult], class_ids: IntArray) -> ResultColumns:
    columns = ResultColumns(
        _repeat_rows(results),
        np.searchsorted(class_ids, _join([result.class_ids for result in results], np.int64)),
        _join([result.boxes_xyxy_px for result in results], np.float64).reshape(-1, 4),
        _join([result.scores for result in results], np.float64),
    )
    return select_results(columns, np.argsort(-columns.scores, kind="stable"))


def _repeat_rows(images: Sequence[ImageTruth] | Sequence[ImageResult]) -> IntArray:
    return np.repeat(np.arange(len(images)), np.array([len(image.class_ids) for image in images], np.int64))


def _join(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)
