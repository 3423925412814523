"""Frames per second of the scoring stage on one long clip against a plain PyAV and TensorFlow loop, interleaved.

`make bench` prints the median of every side and the ratios: the job on the clip cut in segments against the
plain loop with the whole machine, the plain loop on one core, and one such loop on each core at once: what the
machine has to give, if two cores are less than twice one. Loading models is not counted. On a machine with others
at work, frames per second of cores' time say more: what a side needs, and not what it was given.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil
from pyspark.sql import SparkSession
from video_clips import PROJECT, VIDEOS, repeat_clip

from detector.media.filesystem import build_access
from detector.media.listing import list_media
from detector.scoring.balance import cut_into_tasks, estimate_costs, order_units
from detector.scoring.decoders import build_limits
from detector.scoring.executors import count_slots, create_worker, score_on_executors
from detector.scoring.plan import Digests, make_plan
from detector.scoring.scorer import load_scorer
from detector.scoring.segmentation import Segmenter
from detector.session import open_session
from detector.settings import MediaSettings, ModelSettings, RunSettings, VideoSettings
from detector.tables.schemas import SCORES

PACK = VIDEOS.parent
CLIP = VIDEOS / "bottle-detection.mp4"
ONE_CORE = "plain loop, one core"
EACH_CORE = "one such loop a core"


class Rates(NamedTuple):
    """Frames a second, and frames a second of a core."""

    a_second: float
    a_core_second: float


def main() -> None:
    """Measure a quick model and a real one, where the data pack is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=12, help="times that the clip is repeated")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if not CLIP.is_file():
        sys.exit(f"no clip to measure with: {CLIP}")
    spark = open_session("bench")
    with tempfile.TemporaryDirectory() as folder:
        clip = repeat_clip(CLIP, Path(folder) / "long.mp4", given.repeats)
        cases = [
            ("demo model, every 5th frame", PROJECT / "conf/demo/saved_model", 8, 5),
            ("Yolo-Fastest XL, every 20th frame", PACK / "models/yolo_fastest_xl_coco/saved_model", 1, 20),
        ]
        for name, model, batch_size, every_n in cases:
            measure(spark, name, model, clip, batch_size, every_n, given.rounds)


def measure(
    spark: SparkSession, name: str, model: Path, clip: Path, batch_size: int, every_n: int, rounds: int
) -> None:
    """Run the sides in turn, rounds times, and print medians and ratios."""
    media = MediaSettings(paths=[str(clip)], video=VideoSettings(sample=f"every_n: {every_n}", segment_s=10))
    scorer = load_scorer(ModelSettings(uri=str(model)))
    worker = create_worker(spark, scorer, build_access([]), media=media, run=RunSettings())
    slots = count_slots(spark)
    plan = make_plan(
        spark,
        list_media(media, now=datetime.now(UTC)),
        spark.createDataFrame([], SCORES.schema),
        digests=Digests(scorer.digest, scorer.compute_video_digest(media.video)),
        rescore=False,
        segmenter=Segmenter(build_access([]), media, build_limits(RunSettings())),
        slots=slots,
    )
    units = order_units(plan.units)
    costs = estimate_costs(units).pictures
    tasks = cut_into_tasks(units, costs, float(costs.sum()), slots)

    def time_job() -> Rates:
        started, core_s = time.perf_counter(), measure_core_s()
        rows = score_on_executors(spark, worker, tasks).select("frames_scored").collect()
        frames = sum(row[0] for row in rows)
        return Rates(frames / (time.perf_counter() - started), frames / (measure_core_s() - core_s))

    found: dict[str, list[Rates]] = {"job": [], "plain loop": [], ONE_CORE: [], EACH_CORE: []}
    cores = sorted(os.sched_getaffinity(0))
    for _ in range(rounds):
        found["plain loop"] += [time_plain_loops(model, clip, batch_size, every_n, [cores])]
        time_job()  # every worker process loads its model; Spark ends those that were idle for a minute
        found["job"] += [time_job()]
        found[ONE_CORE] += [time_plain_loops(model, clip, batch_size, every_n, [cores[:1]])]
        found[EACH_CORE] += [time_plain_loops(model, clip, batch_size, every_n, [[core] for core in cores])]
    print(f"\n{name}, {units.num_rows} segments of one clip, {rounds} rounds")
    for side, rates in found.items():
        a_second, a_core_second = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"  {side:26} {a_second:7.1f} frames/s, {a_core_second:7.1f} a second of a core")
    for other in ("plain loop", ONE_CORE, EACH_CORE):
        for kind, place in (("frames/s", 0), ("per core", 1)):
            ratios = [job[place] / rate[place] for job, rate in zip(found["job"], found[other], strict=True)]
            low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
            print(f"  job / {other:20} {kind} {middle:.2f}   (from {low:.2f} to {high:.2f})")
    worker.release()


def measure_core_s() -> float:
    """Add up the cores' seconds of this process and all below it: driver, executors and Python workers."""
    driver = psutil.Process()
    times = [process.cpu_times() for process in (driver, *driver.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def time_plain_loops(
    model: Path, clip: Path, batch_size: int, every_n: int, shares: list[list[int]]
) -> Rates:
    """Run a plain loop on each share of the cores, all at once, in processes of their own; add up their rates."""
    loop = [sys.executable, str(Path(__file__).with_name("plain_video_loop.py"))]
    words = ["--model", str(model), "--file", str(clip)]
    words += ["--batch-size", str(batch_size), "--every-n", str(every_n)]
    running = [
        subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cores)), *loop, *words], text=True, stdout=subprocess.PIPE
        )
        for cores in shares
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit("a plain loop has failed")
    told = [json.loads(output.splitlines()[-1]) for output in outputs]
    return Rates(
        sum(one["frames_per_second"] for one in told),
        statistics.mean(one["frames_per_core_second"] for one in told),
    )


if __name__ == "__main__":
    main()
