"""What delivering video frames costs beside FFmpeg's bare decoding, and whether memory grows with length.

`make bench` prints medians and ratios, the sides measured in turn, in frames per second of one core's time
(so that others on the machine count little). Delivery is read_index and read_frames onto a canvas of 320 x 320;
no model runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from detector.media.video.frames import read_frames
from detector.media.video.index import read_index
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import cut_into_segments

PACK = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CLIPS = ("bottle-detection.mp4", "walk.mkv", "person_vp9.webm", "car_mpeg4.avi")
CANVAS_HW = (320, 320)
MAX_PIXELS = 120_000_000
SEGMENT_S = 60.0


def main() -> None:
    """Measure every clip; with --peak, only print this process's peak memory after one clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", type=Path, help="deliver this file's frames once and print the peak in KiB")
    given = parser.parse_args()
    if given.peak is not None:
        deliver(given.peak, "every_frame")
        print(json.dumps({"peak_kib": read_peak_kib()}))
        return
    if not PACK.is_dir():
        sys.exit(f"no clips to measure with: {PACK}")
    with tempfile.TemporaryDirectory() as folder:
        for name in CLIPS:
            measure_speed(name, PACK / "videos" / name, given.rounds)
        large = enlarge_clip(PACK / "videos/walk.mkv", Path(folder) / "large.mp4")
        measure_speed("walk.mkv enlarged to 1920 x 1080, H.264", large, given.rounds)
        measure_memory(Path(folder))


def repeat_clip(source: Path, target: Path, times: int) -> Path:
    """Remux a clip one time after another: the same packets with later times."""
    with av.open(str(target), "w") as out:
        copied, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as container:
                stream = container.streams.video[0]
                copied = out.add_stream_from_template(stream) if copied is None else copied
                ends = [0]
                for packet in container.demux(stream):
                    if packet.dts is None and packet.pts is None:
                        continue
                    ends.append((packet.pts or packet.dts or 0) + (packet.duration or 0))
                    packet.pts = None if packet.pts is None else packet.pts + offset
                    packet.dts = None if packet.dts is None else packet.dts + offset
                    packet.stream = copied
                    out.mux(packet)
                offset += max(ends)
    return target


def enlarge_clip(source: Path, target: Path) -> Path:
    """Encode a clip again at 1920 x 1080, as cameras record it."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "20", "preset": "fast", "g": "60"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number, frame in enumerate(container.decode(video=0)):
            large = frame.reformat(1920, 1080, "yuv420p", interpolation="LANCZOS")
            large.pts, large.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(large))
        out.mux(stream.encode())
    return target


def measure_speed(title: str, clip: Path, rounds: int) -> None:
    """Run the sides in turn, and print how delivery compares."""
    sides: dict[str, Callable[[], int]] = {
        "raw decode": lambda: decode_plainly(clip, converts=False),
        "every frame": lambda: deliver(clip, "every_frame"),
        "decode and convert": lambda: decode_plainly(clip, converts=True),
        "every_n: 30": lambda: deliver(clip, "every_n: 30"),
        "keyframes": lambda: deliver(clip, "keyframes"),
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
    print_ratio("delivery / raw decode, frames/s", seconds["raw decode"], seconds["every frame"])
    print_ratio(
        "every_n: 30 / decode and convert, time", seconds["every_n: 30"], seconds["decode and convert"]
    )
    print_ratio("keyframes / decode and convert, time", seconds["keyframes"], seconds["decode and convert"])


def print_ratio(title: str, above: list[float], below: list[float]) -> None:
    """Print the median, least and largest of the rounds' ratios."""
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    print(f"  {title:40} {statistics.median(ratios):.3f}   (from {min(ratios):.3f} to {max(ratios):.3f})")


def decode_plainly(clip: Path, *, converts: bool) -> int:
    """Decode a file with PyAV on one thread, and turn each frame into an array if asked to; count frames."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        frames = 0
        for frame in container.decode(stream):
            if converts:
                frame.to_ndarray(format="rgb24")
            frames += 1
        return frames


def deliver(clip: Path, words: str) -> int:
    """Index, cut and read a file's wanted frames as a worker does; count them."""
    sampling, frames = parse_sampling(words), 0
    with clip.open("rb") as file:
        index = read_index(file, max_pixels=MAX_PIXELS)
        for segment in cut_into_segments(
            index, segment_s=SEGMENT_S, start_s=0.0, end_s=None, sampling=sampling
        ):
            for frame in read_frames(
                file, segment, sampling=sampling, canvas_hw=CANVAS_HW, max_pixels=MAX_PIXELS
            ):
                frames += frame.pixels.shape[0] == CANVAS_HW[0]
    return frames


def measure_memory(folder: Path) -> None:
    """Deliver a clip, and one 60 times as long, each in a process of its own; print the peaks."""
    short = PACK / "videos/bottle-detection.mp4"
    peaks = [measure_peak_mib(clip) for clip in (short, repeat_clip(short, folder / "long.mp4", 60))]
    print(
        f"\npeak memory: {peaks[0]:.0f} MiB for 40 s, {peaks[1]:.0f} MiB for 40 min: {peaks[1] / peaks[0]:.3f}"
    )


def measure_peak_mib(clip: Path) -> float:
    """Run this file with --peak."""
    words = [sys.executable, __file__, "--peak", str(clip)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["peak_kib"] / 1024


def read_peak_kib() -> int:
    """Read this process's largest resident memory so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
