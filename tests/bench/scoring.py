"""Images per second of the scoring stage against a plain loop and the naive Spark way, interleaved.

`make bench` prints, for each model at hand, the median of every side and the ratios round by round.
Loading models and starting Spark are not counted on any side; reading, decoding and scoring are. The
naive way is what a first notebook does: binaryFile, and a UDF that scores one row.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from PIL import Image
from pyspark.sql import SparkSession
from pyspark.sql import types as t
from pyspark.sql.functions import udf
from pyspark.sql.pandas.types import to_arrow_schema

from detector.annotations.shapes import draw_picture
from detector.media.filesystem import build_access
from detector.media.listing import list_media
from detector.scoring.balance import cut_into_tasks
from detector.scoring.executors import count_slots, create_worker, score_on_executors
from detector.scoring.scorer import load_scorer
from detector.scoring.units import UNIT
from detector.session import open_session
from detector.settings import MediaSettings, ModelSettings, RunSettings

PROJECT = Path(__file__).resolve().parents[2]
PACK = PROJECT.parent / "shared" / "data"
_naive_models = {}


def main() -> None:
    """Measure every model that is at hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1024, help="pictures a side scores each round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    spark = open_session("bench")
    with tempfile.TemporaryDirectory() as folder:
        for name, model, pictures in list_cases(Path(folder), given.images):
            measure(spark, name, model, pictures, given.rounds)


def list_cases(folder: Path, images: int) -> list[tuple[str, Path, Path]]:
    """Give (title, SavedModel, folder of pictures) for the demo's model and, where it is there, a real one."""
    drawn = folder / "drawn"
    drawn.mkdir()
    for number in range(256):
        pixels, _, _ = draw_picture(np.random.default_rng(number), height_px=480, width_px=640)
        Image.fromarray(pixels).save(drawn / f"{number:05d}.jpg", quality=90)
    # The demo's model is the quicker one: more pictures, so that starting a stage is small beside them.
    cases = [
        (
            f"demo model, any batch, {2 * images} drawn pictures of 640 x 480",
            PROJECT / "conf/demo/saved_model",
            repeat_files(drawn, folder / "many_drawn", 2 * images),
        )
    ]
    photos = PACK / "datasets/coco128_train32/images"
    if photos.is_dir():
        cases.append(
            (
                f"Yolo-Fastest XL, batch of one, {images} COCO photos",
                PACK / "models/yolo_fastest_xl_coco/saved_model",
                repeat_files(photos, folder / "many_photos", images),
            )
        )
    return cases


def repeat_files(source: Path, target: Path, count: int) -> Path:
    """Copy the pictures of ``source`` again and again, each time under another name."""
    files = sorted(source.glob("*.jpg"))
    target.mkdir()
    for number in range(count):
        shutil.copy(files[number % len(files)], target / f"{number:05d}.jpg")
    return target


def measure(spark: SparkSession, name: str, model: Path, pictures: Path, rounds: int) -> None:
    """Run the sides in turn, rounds times, and print medians and ratios."""
    settings = ModelSettings(uri=str(model))
    tasks = plan_tasks(spark, pictures)
    worker = create_worker(
        spark, load_scorer(settings), build_access([]), media=MediaSettings(), run=RunSettings()
    )
    count = sum(task.num_rows for task in tasks)

    def time_job() -> float:
        started = time.perf_counter()
        score_on_executors(spark, worker, tasks).write.format("noop").mode("overwrite").save()
        return count / (time.perf_counter() - started)

    time_job()  # every worker process loads its model
    found = {"job": [], "plain loop": [], "naive Spark": []}
    peaks = []
    for _ in range(rounds):
        found["plain loop"].append(time_plain_loop(model, pictures, settings.batch_size))
        found["job"].append(time_job())
        peaks.append(find_worker_peak_mib())
        found["naive Spark"].append(time_naive(spark, model, pictures, count))
        time_job()  # the naive way's models go, the job's come back: not counted
    print(f"\n{name}, {rounds} rounds")
    for side, rates in found.items():
        print(
            f"  {side:12} {statistics.median(rates):7.1f} images/s   (from {min(rates):.1f} to {max(rates):.1f})"
        )
    for other in ("plain loop", "naive Spark"):
        ratios = [job / rate for job, rate in zip(found["job"], found[other], strict=True)]
        print(
            f"  job / {other:12} {statistics.median(ratios):.2f}   (from {min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(f"  peak memory of a worker {peaks[0]} MiB")
    worker.release()


def plan_tasks(spark: SparkSession, pictures: Path) -> list[pa.Table]:
    """Cut the folder into tasks as the job does once it knows the rate: up to 15 s long, one for each slot."""
    listed = list_media(MediaSettings(paths=[str(pictures)]), now=datetime.now(UTC))
    empty = dict.fromkeys(UNIT.names) | {"media_kind": "image", "attempt": 0}
    units = [
        empty
        | {name: row[name] for name in ("media_uri", "size_bytes", "modified_at")}
        | {"score_id": row["media_uri"]}
        for row in listed.to_pylist()
    ]
    table = pa.Table.from_pylist(units, to_arrow_schema(UNIT))
    return cut_into_tasks(table, np.ones(len(units)), len(units), count_slots(spark))


def time_plain_loop(model: Path, pictures: Path, batch_size: int) -> float:
    """Run the plain loop in a process of its own; a model of batch one gets one image a call."""
    fixed_to_one = "yolo" in str(model)
    words = [sys.executable, str(Path(__file__).with_name("plain_loop.py")), "--model", str(model)]
    words += ["--folder", str(pictures), "--batch-size", "1" if fixed_to_one else str(batch_size)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["images_per_second"]


def time_naive(spark: SparkSession, model: Path, pictures: Path, count: int) -> float:
    """Time binaryFile and a UDF per row, as a first notebook has it; its first run is not counted."""
    location = str(model)

    @udf(returnType=t.ArrayType(t.ArrayType(t.FloatType())))
    def detect(content):
        import cv2
        import tensorflow as tf

        if location not in _naive_models:
            _naive_models[location] = tf.saved_model.load(location).signatures["serving_default"]
        rgb = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        outputs = _naive_models[location](input_tensor=tf.constant(rgb[None]))
        keep = outputs["detection_scores"][0].numpy() >= 0.05
        return outputs["detection_boxes"][0].numpy()[keep].tolist()

    files = spark.read.format("binaryFile").load(str(pictures))
    started = time.perf_counter()
    files.select(detect("content")).write.format("noop").mode("overwrite").save()
    return count / (time.perf_counter() - started)


def find_worker_peak_mib() -> int:
    """Read the largest resident memory that one of this session's Python workers ever had."""
    peaks = [0]
    for process in psutil.Process().children(recursive=True):
        if process.status() != psutil.STATUS_ZOMBIE and "pyspark.daemon" in " ".join(process.cmdline()):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peaks += [
                int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")
            ]
    return max(peaks)


if __name__ == "__main__":
    main()
