"""Scene changes: a frame that differs much from the one before it.

Owns the measure. It looks at two frames only, so that any part of a video gives the same scenes as the
whole. PySceneDetect's content detector measures the same in HSV; here it's YUV, as decoders give it.
"""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

_WIDTH_PX, _HEIGHT_PX = 64, 36
THRESHOLD = 12.0  # mean change of luma and chroma, of 255


class SceneChange:
    """Looks at successive frames."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._before: NDArray[np.int16] | None = None

    def look(self, frame: VideoFrame) -> bool:
        """Tell whether a frame begins a scene; the first one that is looked at does."""
        small = self._reformatter.reformat(
            frame, _WIDTH_PX, _HEIGHT_PX, "yuv444p", interpolation=Interpolation.AREA
        )
        now = small.to_ndarray().astype(np.int16)
        before, self._before = self._before, now
        return before is None or float(np.abs(now - before).mean()) >= THRESHOLD
