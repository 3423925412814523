"""A plain, well-written PyAV and TensorFlow loop: one thread decodes, the model gets batches. No Spark.

The measure for scoring videos: run as a process of its own, it prints frames per second, and per second of a core, on its last line,
imports and model loading not counted. Written against TensorFlow and PyAV alone on purpose.
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import av
import numpy as np
import tensorflow as tf


def read_batches(file: Path, batch_size: int, every_n: int) -> Iterator[np.ndarray]:
    """Decode in a thread, a bounded number of frames ahead; give uint8 [B, H, W, 3] batches."""
    waiting: Queue[np.ndarray | None] = Queue(4 * batch_size)

    def decode() -> None:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if index % every_n == 0:
                    waiting.put(frame.to_ndarray(format="rgb24"))
        waiting.put(None)

    threading.Thread(target=decode, daemon=True).start()
    batch = []
    while (frame := waiting.get()) is not None:
        batch.append(frame)
        if len(batch) == batch_size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def main() -> None:
    """Score every wanted frame once, after a warm-up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--every-n", type=int, required=True)
    given = parser.parse_args()
    loaded = tf.saved_model.load(given.model)
    detect = loaded.signatures["serving_default"]

    def score(batch: np.ndarray) -> int:
        outputs = detect(input_tensor=tf.constant(batch))
        return int((outputs["detection_scores"].numpy() >= 0.05).sum())

    score(next(iter(read_batches(given.file, given.batch_size, given.every_n))))
    started, core_s, frames = time.perf_counter(), time.process_time(), 0
    for batch in read_batches(given.file, given.batch_size, given.every_n):
        score(batch)
        frames += len(batch)
    seconds, core_s = time.perf_counter() - started, time.process_time() - core_s
    print(json.dumps({"frames_per_second": frames / seconds, "frames_per_core_second": frames / core_s}))


if __name__ == "__main__":
    main()
