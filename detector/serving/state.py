"""One server's state: loading, ready, draining; and what every address of it answers with.

Owns the one way from a request to detections: ready, room in the queue, the body, the deadline, and a client
that may hang up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request

from detector.scoring.scorer import Scorer
from detector.serving.bodies import BodyReader
from detector.serving.keys import Keys
from detector.serving.metrics import Metrics
from detector.serving.refusals import Refusal, refuse_unready
from detector.serving.serve_settings import ServeSettings
from detector.serving.service import Service

_R = TypeVar("_R")


class State:
    """What the addresses share. Used in the event loop's thread alone."""

    def __init__(self, scorer: Scorer, settings: ServeSettings, keys: Keys) -> None:
        self.settings = settings
        self.keys = keys
        self.name, self.version, self.labels = scorer.name, scorer.version, scorer.labels
        self.min_score = scorer.settings.min_score
        self.metrics = Metrics(self.name, self.version)
        self.bodies = BodyReader(
            max_bytes=settings.max_body_bytes,
            total_bytes=settings.queue_bytes,
            timeout_s=settings.receive_timeout_s,
        )
        self.service: Service | None = None
        self.draining = False
        self.metrics.watch("detector_ready", "1 when requests are welcome.", lambda: self.is_ready)
        self.metrics.watch("detector_pictures_in_flight", "Pictures waiting or at work.", self._count_waiting)
        self.metrics.watch("detector_body_bytes", "Bytes of bodies held.", lambda: self.bodies.held_bytes)

    @property
    def is_ready(self) -> bool:
        """Tell whether the model is warm and nobody has asked the server to end."""
        return self.service is not None and not self.draining

    async def answer(self, request: Request, work: Callable[[bytes, Service], Awaitable[_R]]) -> _R:
        """Read a request's body and do ``work`` on it, within the deadline.

        Raises ``Refusal``: 503 before the model is warm or past the deadline, 429 when the queue is full, and
        what reading raises. Work is cancelled when it's late or the client has gone.
        """
        service = self.service
        if service is None:
            raise refuse_unready("the model is being loaded; try again")
        service.refuse_when_full()
        with self.bodies.hold(request) as held:
            body = await held.read()
            return await self._finish(request, asyncio.ensure_future(work(body, service)))

    async def _finish(self, request: Request, work: "asyncio.Future[_R]") -> _R:
        gone = asyncio.ensure_future(_wait_until_gone(request))
        try:
            both: set[asyncio.Future[Any]] = {work, gone}
            await asyncio.wait(both, timeout=self.settings.timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if gone.done():
                raise Refusal(499, "Disconnected", "the client has gone")
            raise refuse_unready(f"no answer after {self.settings.timeout_s:g} s")
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})  # it takes back its pictures

    def _count_waiting(self) -> int:
        return 0 if self.service is None else self.service.in_flight


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
