"""What runs in an executor's Python worker: paths in, boxes out.

Owns the model that a worker process holds: loaded once, kept for every task that the process serves.
Travels to the executors by pickle, so it holds settings and handles, never a model.
"""

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import Broadcast, TaskContext

from detector.errors import find_media_error
from detector.labels import LabelMap
from detector.media.filesystem import FileAccess
from detector.models.package import unpack_model
from detector.models.signature import ModelSignature
from detector.scoring.decoders import Ask, DecodeLimits, build_limits, build_loader, open_decoders
from detector.scoring.loader import Loader, finish_frame, read_frame
from detector.scoring.pipeline import LoadedFrame, run_pipeline
from detector.scoring.scorer import Scorer
from detector.scoring.unit import Unit
from detector.scoring.units import build_result_batch, read_units
from detector.settings import MediaSettings, ModelSettings, RunSettings

if TYPE_CHECKING:
    from detector.models.predictor import Predictor

_ROWS_PER_BATCH = 256
_FRAMES_PER_BATCH = 4096
_loaded: dict[str, "Predictor"] = {}  # this process's one model, by scorer digest


@dataclass(frozen=True)
class Worker:
    """Everything that a worker process needs to score units.

    The model comes as ``archive`` (its packed bytes, broadcast) or, where that is None, from ``model_uri``.
    ``limits``: of the processes that decode, None for decoding beside the model.
    """

    scorer_digest: str
    model_digest: str
    model_uri: str
    archive: Broadcast[bytes] | None
    signature: ModelSignature
    settings: ModelSettings
    labels: LabelMap
    loader: Loader
    limits: DecodeLimits | None
    decode_threads: int | None
    gpu_task_cores: int
    queue_bytes: int

    def score(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Score the units of plan batches; give Arrow batches of ``RESULT``, each unit in one row."""
        load = self.open_loader()  # first: the decoders start while the model loads
        predictor = self.load_predictor()
        outcomes = run_pipeline(
            read_units(iter(batches)),
            load,
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

    def open_loader(self) -> Callable[[Unit | bytes], Iterator[LoadedFrame]]:
        """Give the function that decodes a unit, or an image's bytes, to what the model takes."""
        ask = open_decoders(replace(self.loader, codec_threads=self.count_codec_threads()), self.limits)

        def load(source: Unit | bytes) -> Iterator[LoadedFrame]:
            for frame in _ask(ask, source):
                yield finish_frame(frame, self.signature.input.kind)

        return load

    def release(self) -> None:
        """End the model's broadcast; on the driver, when no task will need it again."""
        if self.archive is not None:
            self.archive.destroy()

    def _read_archive(self) -> bytes:
        if self.archive is None:
            raise AssertionError("asked for an archive that was not broadcast")
        return self.archive.value


def build_worker(
    scorer: Scorer,
    access: FileAccess,
    media: MediaSettings,
    run: RunSettings,
    *,
    archive: Broadcast[bytes] | None,
    model_uri: str,
    gpu_task_cores: int,
) -> Worker:
    """Build the worker of a scorer and settings; ``archive`` and ``model_uri`` as in ``Worker``."""
    return Worker(
        scorer_digest=scorer.digest,
        model_digest=scorer.model_digest,
        model_uri=model_uri,
        archive=archive,
        signature=scorer.signature,
        settings=scorer.settings,
        labels=scorer.labels,
        loader=build_loader(scorer, access, media),
        limits=build_limits(run),
        decode_threads=run.decode_threads,
        gpu_task_cores=gpu_task_cores,
        queue_bytes=run.queue_bytes,
    )


def _ask(ask: Ask, source: Unit | bytes) -> Iterator[LoadedFrame]:
    if isinstance(source, Unit) and source.refusal is not None:
        error_class, message = source.refusal
        raise find_media_error(error_class)(message)
    size_bytes = source.size_bytes if isinstance(source, Unit) else None
    for facts, pixels in ask(source, size_bytes):
        yield read_frame(facts, pixels)


def find_task_resources(gpu_task_cores: int) -> tuple[str | None, int]:
    """Tell the running task's GPU address, or None, and its cores; a GPU's task has ``gpu_task_cores``."""
    task: Any = TaskContext.get()
    if task is None:
        return None, 1
    if "gpu" in task.resources():
        return task.resources()["gpu"].addresses[0], gpu_task_cores or os.cpu_count() or 1
    return None, max(1, int(task.cpus()))
