"""Whether memory grows with a video's length: clips of 40 s, 4 min and 40 min, each in its own process.

`make bench` prints the peaks of a worker as it runs on an executor, with the demo's model, and of the
delivery of every frame alone: a small process, in which what FFmpeg keeps of an mp4's index is seen. A worker
decodes two segments at once, which the shortest clip has not.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from video import deliver
from video_clips import PROJECT, VIDEOS, repeat_clip

if TYPE_CHECKING:
    from detector.scoring.worker import Worker
    from detector.settings import MediaSettings

SIDES = {
    "worker": "worker with the demo's model, every 30th frame",
    "delivery": "delivery alone, every frame",
}


def main() -> None:
    """Measure both; with --file, only print this process's peak memory after that file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--side", choices=SIDES, default="delivery")
    given = parser.parse_args()
    if given.file is not None:
        frames = deliver(given.file, "every_frame") if given.side == "delivery" else score(given.file)
        print(json.dumps({"peak_kib": read_peak_kib(), "frames": frames}))
        return
    short = VIDEOS / "bottle-detection.mp4"
    if not short.is_file():
        sys.exit(f"no clip to measure with: {short}")
    with tempfile.TemporaryDirectory() as folder:
        clips = [short, *(repeat_clip(short, Path(folder) / f"{n}.mp4", n) for n in (6, 60))]
        for side, title in SIDES.items():
            peaks = [measure_peak_mib(clip, side) for clip in clips]
            print(f"\npeak memory, {title}: {peaks[0]:.0f}, {peaks[1]:.0f}, {peaks[2]:.0f} MiB")
            print(f"  40 min / 40 s {peaks[2] / peaks[0]:.3f}, 40 min / 4 min {peaks[2] / peaks[1]:.3f}")


def score(file: Path) -> int:
    """Index a file, cut it and score its segments in this process; count the scored frames."""
    # Imported here: the delivery alone is measured without Spark's and TensorFlow's memory.
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    from detector.scoring.segmentation import Segmenter
    from detector.scoring.units import RESULT, UNIT
    from detector.settings import MediaSettings, VideoSettings

    media = MediaSettings(paths=[str(file)], video=VideoSettings(sample="every_n: 30"))
    worker = create_worker(media)
    listed = {
        "media_uri": str(file),
        "media_kind": "video",
        "attempt": 0,
        "size_bytes": None,
        "modified_at": None,
    }
    batches = Segmenter(worker.loader.access, media, worker.limits).segment(
        [pa.RecordBatch.from_pylist([listed])]
    )
    rows = [row for batch in batches for row in batch.to_pylist()]
    units = [{"score_id": str(number), **row} for number, row in enumerate(rows)]
    column = pa.array([units], pa.list_(pa.struct(list(to_arrow_schema(UNIT)))))
    results = worker.score([pa.RecordBatch.from_arrays([column], ["units"])], to_arrow_schema(RESULT))
    return sum(sum(batch.column("frames_scored").to_pylist()) for batch in results)


def create_worker(media: "MediaSettings") -> "Worker":
    """Make a worker for the demo's model, as an executor has it."""
    from detector.media.filesystem import build_access
    from detector.scoring.scorer import load_scorer
    from detector.scoring.worker import build_worker
    from detector.settings import ModelSettings, RunSettings

    uri = str(PROJECT / "conf/demo/saved_model")
    scorer = load_scorer(ModelSettings(uri=uri))
    return build_worker(
        scorer, build_access([]), media, RunSettings(), archive=None, model_uri=uri, gpu_task_cores=0
    )


def measure_peak_mib(clip: Path, side: str) -> float:
    """Run this file with --file."""
    words = [sys.executable, __file__, "--file", str(clip), "--side", side]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["peak_kib"] / 1024


def read_peak_kib() -> int:
    """Read this process's largest resident memory so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
