"""Names of pictures taken out of videos: which clip, which second, which frame.

Owns the one form of these names, so that what wrote them and what keeps a clip's frames together agree.
Refuses to guess at other names.
"""

import re
from pathlib import PurePath

_NAME = re.compile(r"(?P<clip>.+)_t\d{6,}\.\d{3}s_f\d{6,}", re.DOTALL)


def name_frame(clip: str, *, time_s: float, frame_index: int, suffix: str = ".jpg") -> str:
    """Name the frame of ``clip`` (a name without folder and suffix) shown at ``time_s`` seconds.

    Names of one clip sort by time; seconds are rounded down to a millisecond.

    >>> name_frame("bottle-detection", time_s=12.0, frame_index=360)
    'bottle-detection_t000012.000s_f000360.jpg'
    """
    milliseconds = max(0, int(time_s * 1000 + 1e-6))
    seconds, rest = divmod(milliseconds, 1000)
    return f"{clip}_t{seconds:06d}.{rest:03d}s_f{frame_index:06d}{suffix}"


def parse_clip(name: str) -> str | None:
    """Read the clip's name out of a frame's file name, whatever its suffix; None for any other name.

    >>> parse_clip("bottle-detection_t000012.000s_f000360.png"), parse_clip("IMG_0001.jpg")
    ('bottle-detection', None)
    """
    found = _NAME.fullmatch(PurePath(name).stem)
    return None if found is None else found["clip"]
