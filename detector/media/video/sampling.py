"""Which frames of a video are wanted: the words of ``media.video.sample`` and what they choose.

Owns the choice by index and time. ``scenes`` alone needs pixels: ``scenes`` decides while decoding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["every_frame", "fps", "every_n", "keyframes", "scenes"]
_WITH_VALUE = ("fps", "every_n")


@dataclass(frozen=True)
class Sampling:
    """A sampling: its kind, and the frames a second of ``fps`` or the n of ``every_n``."""

    kind: Kind
    value: float | None = None

    def describe(self) -> str:
        """Give the canonical words.

        >>> Sampling("fps", 2).describe(), Sampling("every_n", 10).describe(), Sampling("scenes").describe()
        ('fps: 2.0', 'every_n: 10', 'scenes')
        """
        if self.value is None:
            return self.kind
        return f"{self.kind}: {float(self.value) if self.kind == 'fps' else int(self.value)}"


def parse_sampling(words: str | Mapping[str, float]) -> Sampling:
    """Read the words of a sampling; raise ``ValueError`` for any other.

    >>> parse_sampling("every_n: 10"), parse_sampling({"fps": 2})
    (Sampling(kind='every_n', value=10.0), Sampling(kind='fps', value=2.0))
    """
    text = (
        words if isinstance(words, str) else ": ".join(str(part) for pair in words.items() for part in pair)
    )
    kind, colon, number = (part.strip() for part in text.partition(":"))
    if kind not in get_args(Kind) or bool(colon) != (kind in _WITH_VALUE):
        raise ValueError(f"{text!r} is no sampling: every_frame, fps: 2.0, every_n: 10, keyframes, scenes")
    if not colon:
        return Sampling(kind)  # type: ignore[arg-type]
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"{number!r} in {text!r} is no number") from None
    if not np.isfinite(value) or value <= 0 or (kind == "every_n" and value != int(value)):
        raise ValueError(f"{number} in {text!r} must be above 0, and whole for every_n")
    return Sampling(kind, value)  # type: ignore[arg-type]


def choose_frames(
    times_s: NDArray[np.float64],
    is_keyframe: NDArray[np.bool_],
    *,
    first_frame: int,
    end_s: float,
    sampling: Sampling,
) -> NDArray[np.bool_]:
    """Choose among successive frames; bool [N]. For ``scenes`` all may be wanted.

    ``times_s`` float64 [N] rising, in seconds from the file's start; ``first_frame`` is the frame_index of
    the first of them; the last is shown until ``end_s``. ``fps`` wants the frame shown at each k / fps,
    whatever part of the file is looked at; a frame shown at several instants is wanted once.
    """
    if sampling.kind in {"every_frame", "scenes"}:
        return np.ones(len(times_s), bool)
    if sampling.kind == "keyframes":
        return is_keyframe.astype(bool)
    if sampling.value is None:
        raise ValueError(f"{sampling.kind} needs a value")
    if sampling.kind == "every_n":
        numbers = np.arange(first_frame, first_frame + len(times_s))
        return np.asarray(numbers % int(sampling.value) == 0)
    # Times are ratios of whole numbers in floats: an instant a hair before a frame is that frame's.
    instants = np.ceil(np.append(times_s, end_s) * sampling.value - 1e-6)
    shown: NDArray[np.bool_] = instants[1:] > instants[:-1]
    if first_frame == 0 and len(shown):
        shown[0] = True  # at instant 0 players show the first frame, also of a stream that begins later
    return shown
