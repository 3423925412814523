"""What runs in an executor's Python worker: paths in, boxes out.

Owns the model that a worker process holds: loaded once, kept for every task that the process serves.
Travels to the executors by pickle, so it holds settings and handles, never a model.
"""

import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import Broadcast, TaskContext

from detector.errors import find_media_error
from detector.labels import LabelMap
from detector.media.decoding import decode_image
from detector.media.filesystem import FileAccess, open_content, read_content
from detector.media.video.frames import VideoFrame, read_frames
from detector.media.video.sampling import parse_sampling
from detector.media.video.segments import Segment
from detector.models.package import unpack_model
from detector.models.signature import ModelSignature
from detector.scoring.pipeline import LoadedFrame, MediaFacts, run_pipeline
from detector.scoring.units import Unit, build_result_batch, read_units
from detector.settings import ModelSettings, VideoSettings

if TYPE_CHECKING:
    from detector.models.predictor import Predictor

_ROWS_PER_BATCH = 256
_FRAMES_PER_BATCH = 4096
_loaded: dict[str, "Predictor"] = {}  # this process's one model, by scorer digest


@dataclass(frozen=True)
class Worker:
    """Everything that a worker process needs to score units.

    The model comes as ``archive`` (its packed bytes, broadcast) or, where that is None, from ``model_uri``.
    """

    scorer_digest: str
    model_digest: str
    model_uri: str
    archive: Broadcast[bytes] | None
    signature: ModelSignature
    settings: ModelSettings
    labels: LabelMap
    access: FileAccess
    follow_symlinks: bool
    max_pixels: int
    video: VideoSettings
    decode_threads: int | None
    gpu_task_cores: int
    queue_bytes: int

    def score(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Score the units of plan batches; give Arrow batches of ``RESULT``, each unit in one row."""
        predictor = self.load_predictor()
        outcomes = run_pipeline(
            read_units(iter(batches)),
            partial(self._load, predictor),
            predictor,
            threads=self.count_threads(),
            queue_bytes=self.queue_bytes,
        )
        waiting, frames = [], 0
        for outcome in outcomes:
            waiting.append(outcome)
            frames += len(outcome.frames)
            if len(waiting) == _ROWS_PER_BATCH or frames >= _FRAMES_PER_BATCH:
                yield build_result_batch(waiting, self.labels, schema)
                waiting, frames = [], 0
        if waiting:
            yield build_result_batch(waiting, self.labels, schema)

    def count_threads(self) -> int:
        """Count the threads to decode with in the running task: the setting, else its cores and one."""
        return self.decode_threads or find_task_resources(self.gpu_task_cores)[1] + 1

    def count_codec_threads(self) -> int:
        """Count the threads that decode one video: a GPU task's cores, one beside a model on the CPU."""
        gpu, cores = find_task_resources(self.gpu_task_cores)
        return 1 if gpu is None else cores

    def load_predictor(self) -> "Predictor":
        """Give this process's model; the first call unpacks and loads it, another scorer replaces it."""
        from detector.models.predictor import load_predictor, start_tensorflow

        gpu, cores = find_task_resources(self.gpu_task_cores)
        if self.scorer_digest not in _loaded:
            start_tensorflow(threads=cores if gpu is None else 1, gpu=gpu)
            _loaded.clear()
            gc.unfreeze()
            source: Callable[[], bytes] | str = self.model_uri if self.archive is None else self._read_archive
            path = unpack_model(source, self.model_digest)
            _loaded[self.scorer_digest] = load_predictor(path, self.signature, self.settings)
            # Spark's daemon collects garbage after each task; going through TensorFlow's objects takes
            # longer than the rest of starting a task.
            gc.collect()
            gc.freeze()
        return _loaded[self.scorer_digest]

    def load_content(self, content: bytes, predictor: "Predictor") -> LoadedFrame:
        """Decode an image's bytes into what the model takes."""
        decoded = decode_image(content, max_pixels=self.max_pixels, canvas_hw=predictor.canvas_hw)
        height, width = decoded.pixels.shape[:2]
        facts = MediaFacts(decoded.width_px, decoded.height_px, hashlib.sha256(content).hexdigest())
        return LoadedFrame(predictor.prepare(decoded.pixels), (height, width), decoded.letterbox, facts)

    def release(self) -> None:
        """End the model's broadcast; on the driver, when no task will need it again."""
        if self.archive is not None:
            self.archive.destroy()

    def _load(self, predictor: "Predictor", unit: Unit) -> Iterator[LoadedFrame]:
        if unit.refusal is not None:
            error_class, message = unit.refusal
            raise find_media_error(error_class)(message)
        if unit.segment is not None:
            yield from self._load_segment(predictor, unit, unit.segment)
        else:
            yield self._load_image(predictor, unit)

    def _load_image(self, predictor: "Predictor", unit: Unit) -> LoadedFrame:
        content = read_content(
            unit.media_uri,
            size_bytes=unit.size_bytes,
            modified_at=unit.modified_at,
            access=self.access,
            follow_symlinks=self.follow_symlinks,
        )
        return self.load_content(content, predictor)

    def _load_segment(self, predictor: "Predictor", unit: Unit, segment: Segment) -> Iterator[LoadedFrame]:
        with open_content(
            unit.media_uri,
            size_bytes=unit.size_bytes,
            modified_at=unit.modified_at,
            access=self.access,
            follow_symlinks=self.follow_symlinks,
        ) as file:
            frames = read_frames(
                file,
                segment,
                sampling=parse_sampling(self.video.sample),
                canvas_hw=predictor.canvas_hw,
                stream=self.video.stream,
                max_pixels=self.max_pixels,
                codec_threads=self.count_codec_threads(),
            )
            for frame in frames:
                yield _to_loaded(frame, predictor)

    def _read_archive(self) -> bytes:
        if self.archive is None:
            raise AssertionError("asked for an archive that was not broadcast")
        return self.archive.value


def _to_loaded(frame: VideoFrame, predictor: "Predictor") -> LoadedFrame:
    height, width = frame.pixels.shape[:2]
    return LoadedFrame(
        predictor.prepare(frame.pixels),
        (height, width),
        frame.letterbox,
        MediaFacts(frame.width_px, frame.height_px, None),
        frame.frame_index,
        frame.time_s,
    )


def find_task_resources(gpu_task_cores: int) -> tuple[str | None, int]:
    """Tell the running task's GPU address, or None, and its cores; a GPU's task has ``gpu_task_cores``."""
    task: Any = TaskContext.get()
    if task is None:
        return None, 1
    if "gpu" in task.resources():
        return task.resources()["gpu"].addresses[0], gpu_task_cores or os.cpu_count() or 1
    return None, max(1, int(task.cpus()))
