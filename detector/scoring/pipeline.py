"""One worker's pipeline: threads read and decode, one thread runs the model on batches of a fixed shape.

Owns the overlap, the bound on memory and the batching. Knows neither Spark nor TensorFlow: what loads a
unit and what predicts are arguments. Refuses to lose a unit: each one comes out once, with the detections
of its frames, with an error, or with both.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from detector.boxes import Letterbox, convert_canvas_to_source
from detector.errors import MediaError, PredictionError, UnexpectedMediaError
from detector.models.detections import Detections
from detector.models.encoding import Pixels
from detector.redaction import make_safe

UnitT = TypeVar("UnitT")


class Predictor(Protocol):
    """What the pipeline asks of a model."""

    batch_size: int

    def predict(self, inputs: list[Pixels], image_hws: list[tuple[int, int]]) -> list[Detections]:
        """Detect on 1 to ``batch_size`` inputs of one shape; image_hws are their (height, width)."""


@dataclass(frozen=True)
class MediaFacts:
    """What a row says of the file itself: size of the upright picture in pixels, digest of the bytes."""

    width_px: int
    height_px: int
    content_sha256: str | None


@dataclass(frozen=True)
class LoadedFrame:
    """A decoded picture, ready for the model: an image's only one, or one of a video's.

    ``pixels`` is uint8 [H, W, 3] RGB, or encoded bytes for a model that decodes itself; ``image_hw`` the
    (height, width) of what the model sees; ``letterbox`` how the upright original lies in it, if it does.
    ``time_s`` is a video frame's presentation time.
    """

    pixels: Pixels
    image_hw: tuple[int, int]
    letterbox: Letterbox | None
    facts: MediaFacts
    frame_index: int = 0
    time_s: float | None = None

    @property
    def nbytes(self) -> int:
        """Count the bytes that waiting costs."""
        return len(self.pixels) if isinstance(self.pixels, bytes) else self.pixels.nbytes

    @property
    def shape(self) -> tuple[int, int]:
        """Give what must be equal in a batch; encoded pictures too are stacked inside the model."""
        return self.image_hw


@dataclass(frozen=True)
class ScoredFrame:
    """What the model found in one frame, boxes normalised to the upright picture."""

    frame_index: int
    time_s: float | None
    detections: Detections


@dataclass(frozen=True)
class Outcome(Generic[UnitT]):
    """What became of one unit: its scored frames in order, and the first error that it met."""

    unit: UnitT
    facts: MediaFacts | None
    frames: list[ScoredFrame]
    error: MediaError | None


@dataclass
class _Work(Generic[UnitT]):
    """A unit in the making: it ends when its source is exhausted and no frame waits for the model."""

    unit: UnitT
    facts: MediaFacts | None = None
    frames: list[ScoredFrame] = field(default_factory=list)
    error: MediaError | None = None
    waiting: int = 0
    exhausted: bool = False

    def close(self) -> Iterator[Outcome[UnitT]]:
        """Give the outcome if this unit has ended."""
        if self.exhausted and not self.waiting:
            self.frames.sort(key=lambda frame: frame.frame_index)
            yield Outcome(self.unit, self.facts, self.frames, self.error)


@dataclass(frozen=True)
class _End:
    """The message that a unit gives no more frames."""

    error: MediaError | None


def run_pipeline(
    units: Iterable[UnitT],
    load: Callable[[UnitT], Iterable[LoadedFrame]],
    predictor: Predictor,
    *,
    threads: int,
    queue_bytes: int,
) -> Iterator[Outcome[UnitT]]:
    """Score every unit, in whatever order they get ready.

    ``load`` gives a unit's frames and raises ``MediaError`` where they end too early. At most
    ``queue_bytes`` of decoded pixels wait for a batch and as many again wait in incomplete batches, beside
    what the threads have in hand; one larger picture passes alone. ``units`` is read ahead as far as that
    needs, across the borders of the caller's own batches.
    """
    decoded: SimpleQueue[tuple[_Work[UnitT], LoadedFrame | _End]] = SimpleQueue()
    gate = _ByteGate(queue_bytes)
    batches: _Batches[UnitT] = _Batches(predictor.batch_size)
    ahead = 2 * (threads + predictor.batch_size)

    def work(unit: UnitT) -> None:
        begun = _Work(unit)
        for item in _load_or_explain(load, unit):
            if isinstance(item, LoadedFrame) and not gate.enter(item.nbytes):
                return  # the consumer has gone
            decoded.put((begun, item))

    source, in_flight = iter(units), 0
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            while True:
                in_flight += sum(1 for _ in _submit(pool, work, source, ahead - in_flight))
                if in_flight == 0:
                    break
                begun, item = decoded.get()
                if isinstance(item, _End):
                    in_flight -= 1
                    begun.exhausted, begun.error = True, begun.error or item.error
                    yield from begun.close()
                    continue
                gate.leave(item.nbytes)
                yield from _predict(predictor, batches.add(begun, item))
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


def _load_or_explain(
    load: Callable[[UnitT], Iterable[LoadedFrame]], unit: UnitT
) -> Iterator[LoadedFrame | _End]:
    try:
        yield from load(unit)
    except MediaError as error:
        yield _End(error)
    except Exception as error:  # noqa: BLE001 (whatever a decoder raises is this file's row, not the job's end)
        yield _End(UnexpectedMediaError(_shorten(error)))
    else:
        yield _End(None)


def _shorten(error: Exception) -> str:
    return make_safe(f"{type(error).__name__}: {error}")[:500]


def _predict(predictor: Predictor, batch: list[tuple[_Work[UnitT], LoadedFrame]]) -> Iterator[Outcome[UnitT]]:
    if not batch:
        return
    frames = [frame for _, frame in batch]
    found: Sequence[Detections | None]
    try:
        found = predictor.predict([frame.pixels for frame in frames], [frame.image_hw for frame in frames])
    except Exception as error:  # noqa: BLE001 (found out below which picture it is)
        if len(batch) > 1:
            for single in batch:
                yield from _predict(predictor, [single])
            return
        explained = error if isinstance(error, PredictionError) else PredictionError(_shorten(error))
        batch[0][0].error = batch[0][0].error or explained
        found = [None]
    for (begun, frame), detections in zip(batch, found, strict=True):
        begun.waiting -= 1
        if detections is not None:
            begun.frames.append(describe_frame(frame, detections))
        yield from begun.close()


def describe_frame(frame: LoadedFrame, detections: Detections) -> ScoredFrame:
    """Move what the model found in a frame to fractions of the upright picture."""
    if frame.letterbox is not None:
        boxes_yxyx_norm = convert_canvas_to_source(detections.boxes_yxyx_norm, frame.letterbox)
        detections = Detections(boxes_yxyx_norm, detections.scores, detections.class_ids)
    return ScoredFrame(frame.frame_index, frame.time_s, detections)


class _Batches(Generic[UnitT]):
    """Frames waiting for others of their shape."""

    def __init__(self, batch_size: int) -> None:
        self._size = batch_size
        self._waiting: dict[tuple[int, int], list[tuple[_Work[UnitT], LoadedFrame]]] = {}
        self.nbytes = 0

    def add(self, begun: _Work[UnitT], frame: LoadedFrame) -> list[tuple[_Work[UnitT], LoadedFrame]]:
        """Put one more, and give the batch that it completes, else an empty list."""
        begun.facts = frame.facts
        begun.waiting += 1
        batch = self._waiting.setdefault(frame.shape, [])
        batch.append((begun, frame))
        self.nbytes += frame.nbytes
        return self._take(frame.shape) if len(batch) == self._size else []

    def take_fullest(self) -> list[tuple[_Work[UnitT], LoadedFrame]]:
        """Give the incomplete batch of most bytes."""
        return self._take(
            max(self._waiting, key=lambda shape: sum(f.nbytes for _, f in self._waiting[shape]))
        )

    def _take(self, shape: tuple[int, int]) -> list[tuple[_Work[UnitT], LoadedFrame]]:
        batch = self._waiting.pop(shape)
        self.nbytes -= sum(frame.nbytes for _, frame in batch)
        return batch


class _ByteGate:
    """Lets threads pass while what passed and has not left stays below a limit; one alone always passes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0
        self._opened = False
        self._changed = threading.Condition()

    def enter(self, nbytes: int) -> bool:
        """Wait until ``nbytes`` fit; False when nobody waits for them any more."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._opened or self._inside == 0 or self._inside + nbytes <= self._limit
            )
            self._inside += nbytes
            return not self._opened

    def leave(self, nbytes: int) -> None:
        """Give ``nbytes`` back."""
        with self._changed:
            self._inside -= nbytes
            self._changed.notify_all()

    def open(self) -> None:
        """Let nobody wait from now on: the consumer has gone."""
        with self._changed:
            self._opened = True
            self._changed.notify_all()
