"""The model at work for all requests: from bytes to detections, and from there to a drawn picture.

Owns admission (how many pictures at once), the decoding threads and what a failed picture is called in a
request. Knows no protocol. Refuses work that doesn't fit in at once, by 429, instead of letting it wait.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from detector.errors import MediaError, UnexpectedMediaError
from detector.labels import LabelMap
from detector.models.detections import Detections
from detector.scoring.pipeline import LoadedFrame, ScoredFrame
from detector.serving.batching import Answer, Batcher
from detector.serving.decoding import ContentDecoder
from detector.serving.metrics import Metrics
from detector.serving.refusals import Refusal, explain_error, refuse_busy

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Found:
    """What was found in one picture; ``width_px`` and ``height_px`` are the upright picture's."""

    width_px: int
    height_px: int
    detections: Detections


class Service:
    """A warm model, its decoding threads and its queue. Made and asked in the event loop's thread."""

    def __init__(
        self,
        decoder: ContentDecoder,
        batcher: Batcher,
        labels: LabelMap,
        metrics: Metrics,
        *,
        decode_threads: int,
        queue_length: int,
    ) -> None:
        self.labels = labels
        self.in_flight = 0
        self._decoder = decoder
        self._batcher = batcher
        self._metrics = metrics
        self._queue_length = queue_length
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")

    def refuse_when_full(self, count: int = 1) -> None:
        """Raise the 429 that ``detect`` would on ``count`` pictures; asked before a body is read, too."""
        if self.in_flight + count > self._queue_length:
            raise refuse_busy(f"{self.in_flight} of {self._queue_length} places are taken; try again")

    async def detect(self, contents: Sequence[bytes]) -> list[Found]:
        """Detect on encoded pictures, all at once.

        Raises ``Refusal``: 429 where the queue has no room for all of them, else the first picture's that
        failed, by its number. Cancelled, it takes back what the model hasn't begun.
        """
        self.refuse_when_full(len(contents))
        self.in_flight += len(contents)
        self._batcher.announce(len(contents))
        answers: list[Future[Answer]] = [Future() for _ in contents]
        try:
            for content, answer in zip(contents, answers, strict=True):
                answer.add_done_callback(self._count)
                self._pool.submit(self._load, content, answer)
            done = await asyncio.gather(*map(asyncio.wrap_future, answers), return_exceptions=True)
        finally:
            self.in_flight -= len(contents)
        return [self._describe(place, one, len(done)) for place, one in enumerate(done)]

    async def run(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Do what takes a while in a decoding thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Finish what is at work."""
        self._pool.shutdown(cancel_futures=True)
        self._batcher.close()

    def _load(self, content: bytes, answer: "Future[Answer]") -> None:
        frame: LoadedFrame | None = None
        try:
            if not answer.cancelled():
                frame = self._decoder.load_content(content)
        except MediaError as error:
            _fail(answer, error)
        except Exception as error:  # noqa: BLE001 (whatever a decoder raises is this picture's)
            _fail(answer, UnexpectedMediaError(type(error).__name__))
        if frame is None:
            self._batcher.announce(-1)
        else:
            self._batcher.put(frame, answer)

    def _count(self, answer: "Future[Answer]") -> None:
        if answer.cancelled():
            self._metrics.count_picture("Cancelled")
        else:
            error = answer.exception()
            self._metrics.count_picture(error.error_class() if isinstance(error, MediaError) else "scored")

    @staticmethod
    def _describe(place: int, answer: Answer | BaseException, count: int) -> Found:
        if isinstance(answer, BaseException):
            if not isinstance(answer, Exception):
                raise answer
            refusal = explain_error(answer)
            where = f"picture {place}: " if count > 1 else ""
            raise Refusal(refusal.status, refusal.error_class, f"{where}{refusal}") from answer
        frame, scored = answer
        return _build(frame, scored)


def _fail(answer: "Future[Answer]", error: MediaError) -> None:
    if answer.set_running_or_notify_cancel():
        answer.set_exception(error)


def _build(frame: LoadedFrame, scored: ScoredFrame) -> Found:
    return Found(frame.facts.width_px, frame.facts.height_px, scored.detections)
