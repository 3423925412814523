"""What delivering video frames costs beside FFmpeg's bare decoding, for short clips and long ones.

`make bench` prints medians and ratios, the sides measured in turn, in seconds of one core's time (so that
others on the machine count little). Delivery is read_index and read_frames onto a canvas of 320 x 320; no
model runs. Bare decoding gives no picture yet: no side here that hands RGB over can be as quick.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
from video_clips import VIDEOS, enlarge_clip, repeat_clip

from detector.media.video.frames import read_frames
from detector.media.video.index import read_index
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import cut_into_segments
from detector.settings import VideoSettings

CLIPS = {"bottle-detection.mp4": 1, "walk.mkv": 20, "person_vp9.webm": 20, "car_mpeg4.avi": 20}
CANVAS_HW = (320, 320)
MAX_PIXELS = 120_000_000
SEGMENT_S = 60.0
DEFAULT = VideoSettings().sample
SAMPLES = ("every_frame", DEFAULT, "every_n: 30", "keyframes")
# (what, the side above, the side below); times of the one in times of the other.
RATIOS = (
    ("every frame: raw decode / delivery", "raw decode", "every_frame"),
    ("every frame: convert all / delivery", "decode and convert", "every_frame"),
    (f"default, {DEFAULT}: raw decode / delivery", "raw decode", DEFAULT),
    ("every_n: 30: delivery / convert all", "every_n: 30", "decode and convert"),
    ("keyframes: delivery / convert all", "keyframes", "decode and convert"),
    ("keyframes: bare decode / convert all", "bare keyframes", "decode and convert"),
)


def main() -> None:
    """Measure every clip as it is, and repeated: then what opening a file costs counts little."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if not VIDEOS.is_dir():
        sys.exit(f"no clips to measure with: {VIDEOS}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for clip, times in CLIPS.items():
            measure_speed(clip, VIDEOS / clip, given.rounds)
            if times > 1:
                long = repeat_clip(VIDEOS / clip, folder / clip, times)
                measure_speed(f"{clip} {times} times", long, given.rounds)
        large = enlarge_clip(VIDEOS / "walk.mkv", folder / "large.mp4")
        measure_speed("walk.mkv enlarged to 1920 x 1080, H.264", large, given.rounds)


def measure_speed(title: str, clip: Path, rounds: int) -> None:
    """Run the sides in turn, and print how delivery compares."""
    sides: dict[str, Callable[[], int]] = {
        "raw decode": lambda: decode_plainly(clip),
        "decode and convert": lambda: decode_plainly(clip, converts=True),
        "bare keyframes": lambda: decode_plainly(clip, only_keyframes=True),
        **{words: (lambda words=words: deliver(clip, words)) for words in SAMPLES},
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    frames = {side: run() for side, run in sides.items()}  # the file is in memory from here on
    for _ in range(rounds):
        for side, run in sides.items():
            started = time.process_time()
            run()
            seconds[side].append(time.process_time() - started)
    print(f"\n{title}, {rounds} rounds")
    for side, taken in seconds.items():
        print(f"  {side:18} {frames[side]:5} frames in {statistics.median(taken):6.3f} s of one core")
    for what, above, below in RATIOS:
        ratios = [one / other for one, other in zip(seconds[above], seconds[below], strict=True)]
        print(f"  {what:44} {statistics.median(ratios):.3f}   (from {min(ratios):.3f} to {max(ratios):.3f})")


def decode_plainly(clip: Path, *, converts: bool = False, only_keyframes: bool = False) -> int:
    """Decode a file with PyAV on one thread, and turn each frame into an array if asked to; count frames."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        if only_keyframes:
            wanted = (p for p in container.demux(stream) if p.is_keyframe or not p.size)
            return sum(len(packet.decode()) for packet in wanted)
        frames = 0
        for frame in container.decode(stream):
            if converts:
                frame.to_ndarray(format="rgb24")
            frames += 1
        return frames


def deliver(clip: Path, words: str) -> int:
    """Index, cut and read a file's wanted frames as a run does; count them."""
    sampling, frames = parse_sampling(words), 0
    with clip.open("rb") as file:
        segments = cut_into_segments(  # what a worker gets of the index
            read_index(file, max_pixels=MAX_PIXELS),
            segment_s=SEGMENT_S,
            start_s=0.0,
            end_s=None,
            sampling=sampling,
        )
        for segment in segments:
            for frame in read_frames(
                file, segment, sampling=sampling, canvas_hw=CANVAS_HW, max_pixels=MAX_PIXELS
            ):
                frames += frame.pixels.shape[0] == CANVAS_HW[0]
    return frames


if __name__ == "__main__":
    main()
