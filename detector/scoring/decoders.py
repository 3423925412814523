"""Where this process's decoding runs: in limited child processes, or beside the model.

Owns the choice, and the one pool of children that a Spark worker keeps for all its tasks.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from detector.isolation.child import Service
from detector.isolation.pool import ChildPool
from detector.media.filesystem import FileAccess
from detector.media.video.sampling import parse_sampling
from detector.models.inputs import choose_canvas_hw
from detector.scoring.loader import Loader
from detector.scoring.scorer import Scorer
from detector.settings import MediaSettings

_MODULES = ("detector.scoring.indexer", "detector.scoring.loader")
_BYTES_PER_S = 1e6  # as slow as reading may be
_pools: dict[tuple[Service, "DecodeLimits"], ChildPool] = {}  # this process's, one of each service's kind

Ask = Callable[..., Iterator[tuple[dict[str, Any], Any]]]


@dataclass(frozen=True)
class DecodeLimits:
    """What a process that decodes may take."""

    timeout_s: float
    memory_bytes: int


def build_loader(scorer: Scorer, access: FileAccess, media: MediaSettings) -> Loader:
    """Say how media are decoded for a model."""
    return Loader(
        access=access,
        follow_symlinks=media.follow_symlinks,
        max_pixels=media.max_pixels,
        canvas_hw=choose_canvas_hw(scorer.signature.input, scorer.settings),
        as_png=scorer.signature.input.kind != "image",
        sampling=parse_sampling(media.video.sample),
        stream=media.video.stream,
    )


class LimitSettings(Protocol):
    """The settings that limits are made of."""

    @property
    def decode_isolated(self) -> bool:
        """Tell whether to decode in processes of their own."""

    @property
    def decode_timeout_s(self) -> float:
        """Give the seconds of silence allowed."""

    @property
    def decode_memory_bytes(self) -> int:
        """Give the memory allowed."""


def build_limits(settings: LimitSettings) -> DecodeLimits | None:
    """Give the limits of the settings, None for decoding beside the model."""
    if not settings.decode_isolated or not hasattr(os, "memfd_create"):  # Linux has it
        return None
    return DecodeLimits(settings.decode_timeout_s, settings.decode_memory_bytes)


def open_decoders(service: Service, limits: DecodeLimits | None) -> Ask:
    """Give a function that asks ``service``: ask(request, size_bytes=None) gives its items.

    Without limits it runs here. Else in children, which this process keeps for the next that asks for the
    same; those of another service of this kind end.
    """
    if limits is None:
        return lambda request, size_bytes=None: service.serve(request, _be_silent)  # noqa: ARG005
    pool = _find_pool(service, limits)

    def ask(request: object, size_bytes: int | None = None) -> Iterator[tuple[dict[str, Any], Any]]:
        return pool.call(request, allowance_s=(size_bytes or 0) / _BYTES_PER_S)

    return ask


def close_decoders() -> None:
    """End all children of this process."""
    while _pools:
        _pools.popitem()[1].close()


def _find_pool(service: Service, limits: DecodeLimits) -> ChildPool:
    key = (service, limits)
    if key not in _pools:
        for other in [known for known in _pools if type(known[0]) is type(service)]:
            _pools.pop(other).close()
        _pools[key] = ChildPool(
            service, timeout_s=limits.timeout_s, memory_bytes=limits.memory_bytes, modules=_MODULES
        )
    return _pools[key]


def _be_silent() -> None:
    """Tell nobody anything."""
