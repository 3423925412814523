"""Scoring without a cluster: a handful of files in, rows of ``detections`` out, in this very process.

Owns what a batch service asks that cuts the work itself (Azure ML's batch endpoint: jobs/azure_batch.py). The
same worker, segments and digests as the Spark job, so the same rows. Starts no Spark; refuses to lose a file:
each has at least one row, and one that can't be scored has its reason there.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from detector.errors import ModelError
from detector.media.filesystem import build_access, count_microseconds
from detector.media.listing import stat_media
from detector.models.signature import FROZEN_GRAPH, SAVED_MODEL
from detector.scoring.flat_rows import COLUMNS, flatten_result
from detector.scoring.plan import Digests, is_video
from detector.scoring.scorer import Scorer, load_scorer
from detector.scoring.segmentation import Segmenter
from detector.scoring.units import FILE, RESULT, UNIT
from detector.scoring.worker import Worker, build_worker
from detector.settings import MediaSettings, ModelSettings, RunSettings
from detector.settings_sources import JobSettings


class MiniBatchSettings(JobSettings):
    """Score the files that a batch service hands out: what to score with, and how to read."""

    model: ModelSettings
    media: MediaSettings = MediaSettings()
    run: RunSettings = RunSettings()


class MiniBatchScorer:
    """A loaded model that scores lists of files; its process keeps it from the first call on."""

    def __init__(self, worker: Worker, segmenter: Segmenter, scorer: Scorer, run_id: str) -> None:
        self._worker, self._segmenter, self._scorer, self._run_id = worker, segmenter, scorer, run_id
        video = scorer.compute_video_digest(segmenter.media.video)
        self._digests = Digests(scorer.digest, video)

    @classmethod
    def open(cls, settings: MiniBatchSettings, *, gpu: str | None, cores: int, run_id: str | None) -> Self:
        """Load the model on one GPU, or on the CPU, with ``cores`` to decode and compute on.

        Raises ``ModelError``, ``LabelMapError``, or ``InstallationError`` where the GPU can't be used.
        """
        from detector.models.predictor import start_tensorflow

        scorer = load_scorer(settings.model)
        access = build_access([])
        run = settings.run.model_copy(update={"decode_threads": settings.run.decode_threads or cores + 1})
        worker = build_worker(
            scorer,
            access,
            settings.media,
            run,
            archive=None,
            model_uri=str(scorer.path),
            gpu_task_cores=cores,
        )
        start_tensorflow(threads=cores if gpu is None else 1, gpu=gpu)
        worker.load_predictor()
        return cls(
            worker, Segmenter(access, settings.media, worker.limits), scorer, run_id or uuid.uuid4().hex
        )

    def score(self, paths: Sequence[str]) -> pd.DataFrame:
        """Score images and videos by path; give rows of ``COLUMNS``, in the order of the paths.

        A row is a box, as in the table ``detections``, or a file (of a video: a segment) without boxes, whose
        columns of the box are null: ``status`` is scored where nothing was found, failed or skipped with
        ``error_class`` and ``error_message`` where it couldn't be scored. No file's content raises.
        """
        listed = stat_media(paths, self._segmenter.media, self._worker.loader.access).to_pylist()
        units = [unit for file in listed for unit in self._plan(file)]
        wanted = [unit for unit in units if "skip_reason" not in unit]
        results = {row["score_id"]: row for row in self._score(wanted)}
        now = datetime.now(UTC)
        rows: list[dict[str, Any]] = []
        for unit in units:
            known = self._describe(unit["media_kind"], now)
            rows += flatten_result(results.get(unit["score_id"]) or _describe_skipped(unit), known)
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)

    def _plan(self, file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the units of one listed file, or the one that tells why it's left out."""
        reason = file.pop("skip_reason")
        kind = "video" if is_video(file["media_uri"]) else "image"
        empty = dict.fromkeys(UNIT.names) | file | {"media_kind": kind, "attempt": 0}
        digest = self._digests.video if kind == "video" else self._digests.image
        if reason is not None:
            yield empty | {"score_id": compute_score_id(empty, digest, reason), "skip_reason": reason}
            return
        for unit in self._cut(empty) if kind == "video" else [empty]:
            yield unit | {"score_id": compute_score_id(unit, digest)}

    def _cut(self, video: dict[str, Any]) -> Iterator[dict[str, Any]]:
        rows = pa.RecordBatch.from_pylist([{name: video[name] for name in FILE.names}])
        for batch in self._segmenter.segment([rows]):
            yield from batch.to_pylist()

    def _score(self, units: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        if not units:
            return
        kind = pa.struct(list(to_arrow_schema(UNIT)))
        batch = pa.RecordBatch.from_arrays([pa.array([units], pa.list_(kind))], names=["units"])
        for results in self._worker.score([batch], to_arrow_schema(RESULT)):
            yield from results.to_pylist()

    def _describe(self, media_kind: str, now: datetime) -> dict[str, Any]:
        return {
            "model_name": self._scorer.name,
            "model_version": self._scorer.version,
            "scorer_digest": self._digests.video if media_kind == "video" else self._digests.image,
            "run_id": self._run_id,
            "scored_at": now,
            "scored_date": now.date(),
        }


def find_mounted_model(folder: Path) -> Path:
    """Find the one model below a folder that a service mounted: a package, a SavedModel or a frozen graph.

    Raises ``ModelError`` when there is none, or more than one.
    """
    # TF1 exports hold the same model in both forms.
    found = [file.parent for file in folder.rglob(SAVED_MODEL)] or [*folder.rglob(FROZEN_GRAPH)]
    if len(found) != 1:
        raise ModelError(
            f"{folder}: expected one {SAVED_MODEL} or {FROZEN_GRAPH} below it, found {len(found)}: "
            "register the package that jobs/train.py made, or give model.uri"
        )
    return found[0]


def compute_score_id(unit: Mapping[str, Any], scorer_digest: str, *skip_reason: str) -> str:
    """Compute the key of a unit's row as the Spark job does: a SHA-256, also of the reason to skip it."""
    size, time, segment = unit["size_bytes"], unit["modified_at"], unit["segment"]
    parts = [
        unit["media_uri"],
        "" if size is None else str(size),
        "" if time is None else str(count_microseconds(time)),
        str(0 if segment is None else segment["index"]),
        scorer_digest,
        str(unit["attempt"]),
        *skip_reason,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _describe_skipped(unit: Mapping[str, Any]) -> dict[str, Any]:
    reason = unit["skip_reason"]
    return {**unit, "status": "skipped", "error_class": reason, "error_message": None, "frames": None}
