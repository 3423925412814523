"""Pictures of all requests in batches: threads that each run one copy of the model.

Owns the order (the longest waiting first), how long a batch waits for company, and the bound on decoded
pixels. Knows neither HTTP nor TensorFlow. A picture that spoils its batch fails alone; one that nobody waits
for any more isn't scored.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from detector.errors import PredictionError
from detector.scoring.pipeline import LoadedFrame, Predictor, ScoredFrame, describe_frame

Answer = tuple[LoadedFrame, ScoredFrame]


@dataclass(frozen=True)
class _Waiting:
    frame: LoadedFrame
    answer: "Future[Answer]"
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Batches frames of one shape for whichever copy of the model is free.

    ``watch`` is told the size of each batch and the seconds that the model took.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        *,
        wait_s: float,
        queue_bytes: int,
        watch: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        self._size = predictors[0].batch_size
        self._wait_s = wait_s
        self._queue_bytes = queue_bytes
        self._watch = watch
        self._shapes: dict[tuple[int, int], deque[_Waiting]] = {}
        self._bytes = 0
        self._coming = 0
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, args=(predictor,), name=f"model-{number}", daemon=True)
            for number, predictor in enumerate(predictors)
        ]
        for thread in self._threads:
            thread.start()

    def announce(self, count: int) -> None:
        """Say that ``count`` more frames are on their way, or with a negative number that they are not."""
        with self._changed:
            self._coming += count
            self._changed.notify_all()

    def put(self, frame: LoadedFrame, answer: "Future[Answer]") -> None:
        """Let an announced frame wait for the model, which sets ``answer``; block while too much waits."""
        with self._changed:
            self._coming -= 1  # before it may block: nobody is to wait for what waits for room
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._closed or not self._bytes or self._bytes + frame.nbytes <= self._queue_bytes
            )
            self._bytes += frame.nbytes
            self._shapes.setdefault(frame.shape, deque()).append(_Waiting(frame, answer))
            self._changed.notify_all()

    def close(self) -> None:
        """Score what waits, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, predictor: Predictor) -> None:
        while batch := self._take():
            wanted = [one for one in batch if one.answer.set_running_or_notify_cancel()]
            if wanted:
                started = time.monotonic()
                self._predict(predictor, wanted)
                self._watch(len(wanted), time.monotonic() - started)

    def _take(self) -> list[_Waiting]:
        """Wait for a batch; an empty one when it's over."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._shapes or self._closed)
                if not self._shapes:
                    return []
                shape = min(self._shapes, key=lambda shape: self._shapes[shape][0].since)
                queue = self._shapes[shape]
                left_s = queue[0].since + self._wait_s - time.monotonic()
                if len(queue) >= self._size or not self._coming or self._closed or left_s <= 0:
                    return self._cut(shape)
                self._changed.wait(left_s)

    def _cut(self, shape: tuple[int, int]) -> list[_Waiting]:
        queue = self._shapes[shape]
        batch = [queue.popleft() for _ in range(min(self._size, len(queue)))]
        if not queue:
            del self._shapes[shape]
        self._bytes -= sum(one.frame.nbytes for one in batch)
        self._changed.notify_all()
        return batch

    def _predict(self, predictor: Predictor, batch: list[_Waiting]) -> None:
        frames = [one.frame for one in batch]
        try:
            found = predictor.predict(
                [frame.pixels for frame in frames], [frame.image_hw for frame in frames]
            )
        except Exception as error:  # noqa: BLE001 (found out below which picture it is)
            if len(batch) > 1:
                for one in batch:
                    self._predict(predictor, [one])
                return
            failed = error if isinstance(error, PredictionError) else PredictionError(type(error).__name__)
            batch[0].answer.set_exception(failed)
            return
        for one, detections in zip(batch, found, strict=True):
            one.answer.set_result((one.frame, describe_frame(one.frame, detections)))
