"""One worker's pipeline: threads read and decode, one thread runs the model on batches of a fixed shape.

Owns the overlap, the bound on memory and the batching. Knows neither Spark nor TensorFlow: what loads a
unit and what predicts are arguments. Refuses to lose a unit: each one comes out once, with detections or
with an error.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.boxes import Letterbox, convert_canvas_to_source
from detector.errors import MediaError, PredictionError, UnexpectedMediaError
from detector.models.detections import Detections

Pixels = NDArray[np.uint8] | bytes
UnitT = TypeVar("UnitT")


class Predictor(Protocol):
    """What the pipeline asks of a model."""

    batch_size: int

    def predict(self, inputs: list[Pixels], image_hws: list[tuple[int, int]]) -> list[Detections]:
        """Detect on 1 to ``batch_size`` inputs of one shape; image_hws are their (height, width)."""


@dataclass(frozen=True)
class ImageFacts:
    """What a row says of the file itself: size of the upright picture in pixels, digest of the bytes."""

    width_px: int
    height_px: int
    content_sha256: str | None


@dataclass(frozen=True)
class LoadedImage:
    """A unit's decoded picture, ready for the model.

    ``pixels`` is uint8 [H, W, 3] RGB, or encoded bytes for a model that decodes itself; ``image_hw`` the
    (height, width) of what the model sees; ``letterbox`` how the upright original lies in it, if it does.
    """

    pixels: Pixels
    image_hw: tuple[int, int]
    letterbox: Letterbox | None
    facts: ImageFacts

    @property
    def nbytes(self) -> int:
        """Count the bytes that waiting costs."""
        return len(self.pixels) if isinstance(self.pixels, bytes) else self.pixels.nbytes

    @property
    def shape(self) -> tuple[int, int]:
        """Give what must be equal in a batch; encoded pictures too are stacked inside the model."""
        return self.image_hw


@dataclass(frozen=True)
class Outcome(Generic[UnitT]):
    """What became of one unit: its detections, or the error of its row."""

    unit: UnitT
    facts: ImageFacts | None
    detections: Detections | None
    error: MediaError | None


def run_pipeline(
    units: Iterable[UnitT],
    load: Callable[[UnitT], LoadedImage],
    predictor: Predictor,
    *,
    threads: int,
    queue_bytes: int,
) -> Iterator[Outcome[UnitT]]:
    """Score every unit, in whatever order they get ready.

    At most ``queue_bytes`` of decoded pixels wait for a batch and as many again wait in incomplete
    batches, beside what the threads have in hand; one larger picture passes alone. ``units`` is read
    ahead as far as that needs, across the borders of the caller's own batches.
    """
    decoded: SimpleQueue[tuple[UnitT, LoadedImage | MediaError]] = SimpleQueue()
    gate = _ByteGate(queue_bytes)
    batches: _Batches[UnitT] = _Batches(predictor.batch_size)
    ahead = 2 * (threads + predictor.batch_size)

    def work(unit: UnitT) -> None:
        result = _load_or_explain(load, unit)
        gate.enter(result.nbytes if isinstance(result, LoadedImage) else 0)
        decoded.put((unit, result))

    source, in_flight = iter(units), 0
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            while True:
                in_flight += sum(1 for _ in _submit(pool, work, source, ahead - in_flight))
                if in_flight == 0:
                    break
                unit, result = decoded.get()
                in_flight -= 1
                if isinstance(result, MediaError):
                    yield Outcome(unit, None, None, result)
                    continue
                gate.leave(result.nbytes)
                yield from _predict(predictor, batches.add(unit, result))
                while batches.nbytes > queue_bytes:
                    yield from _predict(predictor, batches.take_fullest())
            while batches.nbytes:
                yield from _predict(predictor, batches.take_fullest())
        finally:
            gate.open()
            pool.shutdown(cancel_futures=True)


def _submit(
    pool: ThreadPoolExecutor, work: Callable[[UnitT], None], source: Iterator[UnitT], count: int
) -> Iterator[Future[None]]:
    for _, unit in zip(range(count), source, strict=False):
        yield pool.submit(work, unit)


def _load_or_explain(load: Callable[[UnitT], LoadedImage], unit: UnitT) -> LoadedImage | MediaError:
    try:
        return load(unit)
    except MediaError as error:
        return error
    except Exception as error:  # noqa: BLE001 (whatever a decoder raises is this file's row, not the job's end)
        return UnexpectedMediaError(_shorten(error))


def _shorten(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _predict(predictor: Predictor, batch: list[tuple[UnitT, LoadedImage]]) -> Iterator[Outcome[UnitT]]:
    if not batch:
        return
    images = [image for _, image in batch]
    try:
        found = predictor.predict([image.pixels for image in images], [image.image_hw for image in images])
    except Exception as error:  # noqa: BLE001 (found out below which picture it is)
        if len(batch) > 1:
            for single in batch:
                yield from _predict(predictor, [single])
            return
        explained = error if isinstance(error, PredictionError) else PredictionError(_shorten(error))
        yield Outcome(batch[0][0], images[0].facts, None, explained)
        return
    for (unit, image), detections in zip(batch, found, strict=True):
        yield Outcome(unit, image.facts, _move_to_source(detections, image.letterbox), None)


def _move_to_source(detections: Detections, letterbox: Letterbox | None) -> Detections:
    if letterbox is None:
        return detections
    boxes_yxyx_norm = convert_canvas_to_source(detections.boxes_yxyx_norm, letterbox)
    return Detections(boxes_yxyx_norm, detections.scores, detections.class_ids)


class _Batches(Generic[UnitT]):
    """Pictures waiting for others of their shape."""

    def __init__(self, batch_size: int) -> None:
        self._size = batch_size
        self._waiting: dict[tuple[int, int], list[tuple[UnitT, LoadedImage]]] = {}
        self.nbytes = 0

    def add(self, unit: UnitT, image: LoadedImage) -> list[tuple[UnitT, LoadedImage]]:
        """Put one more, and give the batch that it completes, else an empty list."""
        batch = self._waiting.setdefault(image.shape, [])
        batch.append((unit, image))
        self.nbytes += image.nbytes
        return self._take(image.shape) if len(batch) == self._size else []

    def take_fullest(self) -> list[tuple[UnitT, LoadedImage]]:
        """Give the incomplete batch of most bytes."""
        return self._take(
            max(self._waiting, key=lambda shape: sum(i.nbytes for _, i in self._waiting[shape]))
        )

    def _take(self, shape: tuple[int, int]) -> list[tuple[UnitT, LoadedImage]]:
        batch = self._waiting.pop(shape)
        self.nbytes -= sum(image.nbytes for _, image in batch)
        return batch


class _ByteGate:
    """Lets threads pass while what passed and has not left stays below a limit; one alone always passes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0
        self._opened = False
        self._changed = threading.Condition()

    def enter(self, nbytes: int) -> None:
        """Wait until ``nbytes`` fit."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._opened or self._inside == 0 or self._inside + nbytes <= self._limit
            )
            self._inside += nbytes

    def leave(self, nbytes: int) -> None:
        """Give ``nbytes`` back."""
        with self._changed:
            self._inside -= nbytes
            self._changed.notify_all()

    def open(self) -> None:
        """Let everybody pass from now on: the consumer has gone."""
        with self._changed:
            self._opened = True
            self._changed.notify_all()
