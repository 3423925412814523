"""Clips of numbered frames, each made once: every codec and container that the encoders here can make."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import pytest


@dataclass(frozen=True)
class Recipe:
    """How a clip is made."""

    suffix: str
    codec: str
    options: dict
    pix_fmt: str = "yuv420p"


RECIPES = {
    "h264_closed": Recipe("mp4", "libx264", {"g": "6", "bf": "2", "sc_threshold": "0"}),
    "h264_open_gop": Recipe("mkv", "libx264", {"x264-params": "keyint=8:min-keyint=8:open-gop=1:bframes=3:scenecut=0"}),
    "h264_pyramid_ts": Recipe("ts", "libx264", {"x264-params": "keyint=10:min-keyint=10:bframes=3:b-pyramid=normal"}),
    "h264_intra": Recipe("mov", "libx264", {"g": "1"}),
    "hevc_open_gop": Recipe("mp4", "libx265", {"x265-params": "keyint=8:min-keyint=8:open-gop=1:bframes=3:log-level=none"}),
    "hevc_radl": Recipe("mkv", "libx265", {"x265-params": "keyint=8:min-keyint=8:open-gop=0:radl=2:bframes=3:log-level=none"}),
    "vp9": Recipe("webm", "libvpx-vp9", {"g": "7", "auto-alt-ref": "1", "lag-in-frames": "5", "deadline": "realtime"}),
    "mpeg4": Recipe("avi", "mpeg4", {"g": "9"}),
    "mpeg4_b_frames": Recipe("mp4", "mpeg4", {"g": "9", "bf": "2"}),
    "mpeg2_ps": Recipe("mpg", "mpeg2video", {"g": "9", "bf": "2"}),
    "mjpeg": Recipe("mov", "mjpeg", {}, "yuvj420p"),
    "av1": Recipe("mkv", "libsvtav1", {"g": "8", "preset": "12", "svtav1-params": "lookahead=0"}),
}  # fmt: skip
FRAMES = 36


def draw_frame(number, width=96, height=64):
    """Draw frame ``number``: a bright square that moves, on a ground that changes at frames 12 and 24."""
    pixels = np.full((height, width, 3), (number // 12 * 80 + 20, 60, 160 - number // 12 * 60), np.uint8)
    left = number * 2 % (width - 16)
    pixels[20:36, left : left + 16] = 230
    return pixels


def write_clip(path, recipe, *, frames=FRAMES, rate=10, times=None):
    """Encode numbered frames; ``times`` are presentation times in hundredths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(recipe.codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 64, recipe.pix_fmt
        stream.options = recipe.options
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 100)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw_frame(number), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Give the clips by name, as far as this build of FFmpeg has their encoders."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        name: write_clip(folder / f"{name}.{recipe.suffix}", recipe)
        for name, recipe in RECIPES.items()
        if recipe.codec in av.codecs_available
    }
