"""What a model finds in labelled pictures, as the metrics take it.

Owns the way from files to ``ImageResult``: read and decoded in threads by scoring's own decoder, letterboxed
as scoring does, in batches, while the model runs. Refuses to leave a picture out in silence: what can't be
read, decoded or predicted is named. Knows no TensorFlow; the model is an argument.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.boxes import FloatArray, Letterbox, convert_canvas_to_source, convert_xyxy_to_yxyx
from detector.errors import EvaluationError, MediaError, PredictionError
from detector.evaluation.results import ImageResult, make_result
from detector.media.decoding import decode_image
from detector.media.filesystem import build_access, read_content
from detector.models.detections import Detections

Pixels = NDArray[np.uint8] | bytes
Progress = Callable[[int, int], None]

MAX_PIXELS = 120_000_000
_WAITING_BYTES = 256 * 1024 * 1024


class DetectionModel(Protocol):
    """What is asked of a model; ``detector.models.predictor.Predictor`` is one.

    ``canvas_hw`` is the (height, width) that pictures are letterboxed to, None when each keeps its own.
    """

    batch_size: int
    canvas_hw: tuple[int, int] | None

    def prepare(self, image: NDArray[np.uint8]) -> Pixels:
        """Turn a uint8 [H, W, 3] RGB picture into an input of ``predict``; called from several threads."""

    def predict(self, inputs: Sequence[Pixels], image_hws: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detect on 1 to ``batch_size`` inputs of one size; ``image_hws`` are their (height, width)."""


@dataclass(frozen=True)
class Predictions:
    """The results in the order of the pictures, and for each picture without one, by name, why."""

    results: list[ImageResult]
    failures: dict[str, MediaError]


def predict_images(
    predictor: DetectionModel,
    paths_by_name: Mapping[str, Path],
    *,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[ImageResult]:
    """Detect on every picture; one result each, in the order given, named by the keys.

    Boxes are edges in pixels of the upright picture. Other arguments as ``try_images``. Raises
    ``EvaluationError`` with the number of pictures that can't be used, the first one's name and its fault.
    """
    predictions = try_images(
        predictor, paths_by_name, max_pixels=max_pixels, threads=threads, progress=progress
    )
    if predictions.failures:
        name, error = next(iter(predictions.failures.items()))
        raise EvaluationError(
            f"{len(predictions.failures)} of {len(paths_by_name)} pictures can't be used, the first is "
            f"{name} ({error.error_class()}: {error}): mend them or take them out of the labelled set"
        )
    return predictions.results


def try_images(
    predictor: DetectionModel,
    paths_by_name: Mapping[str, Path],
    *,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Detect on every picture, and tell which can't be read, decoded or predicted.

    ``threads`` read and decode beside the one that runs the model (default: one for each core);
    ``progress(done, total)`` counts pictures. A picture of more than ``max_pixels`` isn't decoded.
    """
    work = _Work(predictor, len(paths_by_name), progress)

    def load(name: str, path: Path) -> _Loaded | MediaError:
        try:
            return _load(predictor, name, path, max_pixels)
        except MediaError as error:
            return error

    threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            ahead = threads + predictor.batch_size
            for name, loaded in _load_ahead(pool, load, paths_by_name, ahead):
                work.add(name, loaded)
            work.finish()
        finally:
            pool.shutdown(cancel_futures=True)
    ordered = [work.results[name] for name in paths_by_name if name in work.results]
    return Predictions(
        ordered, {name: work.failures[name] for name in paths_by_name if name in work.failures}
    )


def place_detections(name: str, size_wh: tuple[int, int], detections: Detections) -> ImageResult:
    """Turn detections in fractions of the upright picture of ``size_wh`` pixels into a result.

    A box whose corners are swapped has no area here, so it is a detection that finds nothing.
    """
    boxes = np.asarray(convert_xyxy_to_yxyx(detections.boxes_yxyx_norm), np.float64) * (size_wh * 2)
    boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    return make_result(name, size_wh, boxes, detections.scores, detections.class_ids)


@dataclass(frozen=True)
class _Loaded:
    name: str
    pixels: Pixels
    image_hw: tuple[int, int]
    letterbox: Letterbox | None
    size_wh: tuple[int, int]

    @property
    def nbytes(self) -> int:
        return len(self.pixels) if isinstance(self.pixels, bytes) else self.pixels.nbytes


def _load(predictor: DetectionModel, name: str, path: Path, max_pixels: int) -> _Loaded:
    content = read_content(
        str(path), size_bytes=None, modified_at=None, access=build_access([]), follow_symlinks=True
    )
    decoded = decode_image(content, max_pixels=max_pixels, canvas_hw=predictor.canvas_hw)
    height, width = decoded.pixels.shape[:2]
    return _Loaded(
        name,
        predictor.prepare(decoded.pixels),
        (height, width),
        decoded.letterbox,
        (decoded.width_px, decoded.height_px),
    )


def _load_ahead(
    pool: ThreadPoolExecutor,
    load: Callable[[str, Path], _Loaded | MediaError],
    paths_by_name: Mapping[str, Path],
    ahead: int,
) -> Iterator[tuple[str, _Loaded | MediaError]]:
    waiting: deque[tuple[str, Future[_Loaded | MediaError]]] = deque()
    for name, path in paths_by_name.items():
        waiting.append((name, pool.submit(load, name, path)))
        if len(waiting) > ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


class _Work:
    """Pictures that wait for others of their size, and what became of the rest."""

    def __init__(self, predictor: DetectionModel, total: int, progress: Progress | None) -> None:
        self.results: dict[str, ImageResult] = {}
        self.failures: dict[str, MediaError] = {}
        self._predictor, self._total, self._progress = predictor, total, progress
        self._waiting: dict[tuple[int, int], list[_Loaded]] = {}

    def add(self, name: str, loaded: _Loaded | MediaError) -> None:
        """Take one more picture; predict when a batch is complete or too much waits."""
        if isinstance(loaded, MediaError):
            self.failures[name] = loaded
            self._tell()
            return
        batch = self._waiting.setdefault(loaded.image_hw, [])
        batch.append(loaded)
        if len(batch) == self._predictor.batch_size:
            self._predict(self._waiting.pop(loaded.image_hw))
        elif sum(_count_bytes(batch) for batch in self._waiting.values()) > _WAITING_BYTES:
            largest = max(self._waiting, key=lambda hw: _count_bytes(self._waiting[hw]))
            self._predict(self._waiting.pop(largest))

    def finish(self) -> None:
        """Predict what still waits."""
        for batch in self._waiting.values():
            self._predict(batch)
        self._waiting = {}

    def _predict(self, batch: list[_Loaded]) -> None:
        try:
            found = self._predictor.predict([one.pixels for one in batch], [one.image_hw for one in batch])
        except PredictionError as error:
            if len(batch) == 1:
                self.failures[batch[0].name] = error
                self._tell()
                return
            for single in batch:  # which of them was it?
                self._predict([single])
            return
        for loaded, detections in zip(batch, found, strict=True):
            upright = Detections(
                _undo_letterbox(detections.boxes_yxyx_norm, loaded.letterbox),
                detections.scores,
                detections.class_ids,
            )
            self.results[loaded.name] = place_detections(loaded.name, loaded.size_wh, upright)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(len(self.results) + len(self.failures), self._total)


def _undo_letterbox(boxes_yxyx_norm: FloatArray, letterbox: Letterbox | None) -> FloatArray:
    return boxes_yxyx_norm if letterbox is None else convert_canvas_to_source(boxes_yxyx_norm, letterbox)


def _count_bytes(batch: Sequence[_Loaded]) -> int:
    return sum(loaded.nbytes for loaded in batch)
