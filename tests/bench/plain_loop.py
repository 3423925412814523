"""A plain, well-written TensorFlow loop: threads read and decode, the model gets batches. No Spark.

The measure for the scoring job: run as a process of its own, it prints images per second on its last
line, imports and model loading not counted. Written against TensorFlow and OpenCV alone on purpose.
"""

import argparse
import json
import os
import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
import tensorflow as tf


def read_batches(files: list[Path], batch_size: int, threads: int) -> Iterator[np.ndarray]:
    """Decode in threads, a bounded number ahead; give uint8 [B, H, W, 3] batches of one shape."""
    waiting: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)

    def decode(file: Path) -> np.ndarray:
        return cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)

    with ThreadPoolExecutor(threads) as pool:
        ahead, window = iter(files), []
        while True:
            while len(window) < 4 * max(batch_size, threads) and (file := next(ahead, None)) is not None:
                window.append(pool.submit(decode, file))
            if not window:
                break
            image = window.pop(0).result()
            same = waiting[image.shape]
            same.append(image)
            if len(same) == batch_size:
                yield np.stack(waiting.pop(image.shape))
    yield from (np.stack(rest) for rest in waiting.values() if rest)


def main() -> None:
    """Score every file once after a warm-up on the first ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    given = parser.parse_args()
    files = sorted(path for path in given.folder.rglob("*") if path.is_file())
    loaded = tf.saved_model.load(given.model)
    detect = loaded.signatures["serving_default"]
    wanted = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")

    def score(some: list[Path]) -> int:
        found = 0
        for batch in read_batches(some, given.batch_size, given.threads):
            outputs = detect(input_tensor=tf.constant(batch))
            boxes, scores, *_ = (outputs[name].numpy() for name in wanted)
            found += int((scores >= 0.05).sum() + 0 * boxes.size)
        return found

    score(files[: 4 * given.batch_size])
    started = time.perf_counter()
    found = score(files)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"images_per_second": len(files) / seconds, "detections": found, "peak_mib": peak}))


if __name__ == "__main__":
    main()
