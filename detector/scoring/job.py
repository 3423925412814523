"""The scoring run: list, plan, score in batches, commit each, publish, and say what was done.

Owns the order of these steps. Every unit that a run tries ends as one committed row; a run that is
killed leaves what it committed, and the next run's plan holds the rest.
"""

import json
import platform
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from detector.media.filesystem import FileAccess, build_access, name_medium
from detector.media.listing import list_media
from detector.scoring.executors import count_slots, create_worker, score_on_executors
from detector.scoring.manifest import list_manifest
from detector.scoring.plan import Plan, cut_into_tasks, make_plan
from detector.scoring.progress import Progress
from detector.scoring.scorer import Scorer, load_scorer
from detector.scoring.units import RESULT, UNIT
from detector.scoring.worker import Worker
from detector.settings import ScoreSettings
from detector.tables.schemas import RUNS, SCORES
from detector.tables.store import TableStore, open_store

_FIRST_TASK_UNITS = 64  # before a rate is known
_TASK_SECONDS = 15  # long beside what starting a task costs, short beside a commit
_TASKS_PER_SLOT = 4  # a commit's least, so that a slow task is one of many


@dataclass(frozen=True)
class Summary:
    """What a run did: listed = scored + failed + skipped, when it ended undisturbed."""

    run_id: str
    listed: int
    scored: int
    failed: int
    skipped: int
    detections: int
    seconds: float
    images_per_second: float
    skipped_reasons: dict[str, int]

    def to_json(self) -> str:
        """Give the job's last line."""
        return json.dumps(asdict(self))


@dataclass
class _Tally:
    """What a run has committed so far, and how long its executors took."""

    media: Counter[str] = field(default_factory=Counter)
    detections: int = 0
    elsewhere: int = 0
    scoring_seconds: float = 0.0

    @property
    def tried(self) -> int:
        return self.media.total()

    def add(self, counts: dict[str, tuple[int, int]]) -> None:
        for status, (media, detections) in counts.items():
            self.media[status] += media
            self.detections += detections

    def replace(self, counts: dict[str, tuple[int, int]]) -> None:
        self.media, self.detections = Counter(), 0
        self.add(counts)


def score(spark: SparkSession, settings: ScoreSettings, *, scorer: Scorer | None = None) -> Summary:
    """Score what is new below ``settings.media`` and write it to the tables; return what was done.

    The session is the caller's: it must have Delta (``detector.session.open_session`` gives one). Raises
    ``SettingsError`` or ``ModelError`` before anything is written. ``scorer`` is the loaded model, where
    the caller has checked it already.
    """
    started_at = datetime.now(UTC)
    scorer = scorer or load_scorer(settings.model)
    store = open_store(spark, settings.tables)
    access, listed = _list(spark, settings, store, started_at)
    store.create()
    plan = make_plan(
        spark,
        listed,
        store.read(SCORES),
        scorer_digest=scorer.digest,
        rescore=settings.run.rescore,
        max_pixels=settings.media.max_pixels,
    )
    run = _Run(spark, settings, store, scorer, access, plan, started_at)
    try:
        run.work_off()
    except BaseException as error:
        run.write_row(f"{type(error).__name__}: {error}"[:2000])
        raise
    return run.write_row(None)


def _list(
    spark: SparkSession, settings: ScoreSettings, store: TableStore, now: datetime
) -> tuple[FileAccess, pa.Table]:
    media = settings.media
    pruned = [folder for folder in (store.root, store.checkpoints) if folder is not None]
    tables = [list_media(media, now=now, pruned=pruned)] if media.paths else []
    access = build_access(media.paths)
    if media.manifest is not None:
        tables.append(list_manifest(spark, media, access, now=now))
    listed = pa.concat_tables(tables)
    if len(tables) > 1:
        listed = listed.group_by("media_uri", use_threads=False).aggregate(
            [(name, "first") for name in listed.column_names if name != "media_uri"]
        )
        listed = listed.rename_columns([name.removesuffix("_first") for name in listed.column_names])
    return access, listed


class _Run:
    """One run at work."""

    def __init__(
        self,
        spark: SparkSession,
        settings: ScoreSettings,
        store: TableStore,
        scorer: Scorer,
        access: FileAccess,
        plan: Plan,
        started_at: datetime,
    ) -> None:
        self.run_id = f"{started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._spark, self._settings, self._store, self._scorer = spark, settings, store, scorer
        self._access, self._plan, self._started_at = access, plan, started_at
        self._tally = _Tally()

    def work_off(self) -> None:
        """Score the plan batch by batch; each batch is one commit."""
        if self._plan.recorded.num_rows:
            self._record_skipped()
        if self._plan.units.num_rows:
            self._score_units()
        self._store.publish_detections()

    def write_row(self, error_message: str | None) -> Summary:
        """Append this run's row to ``runs`` and summarise it."""
        finished_at = datetime.now(UTC)
        tally, plan = self._tally, self._plan
        elsewhere = {"scored_by_another_run": tally.elsewhere} if tally.elsewhere else {}
        reasons = plan.skipped_reasons | elsewhere
        summary = Summary(
            run_id=self.run_id,
            listed=plan.listed,
            scored=tally.media["scored"],
            failed=tally.media["failed"],
            skipped=sum(reasons.values()),
            detections=tally.detections,
            seconds=round((finished_at - self._started_at).total_seconds(), 3),
            images_per_second=round(tally.tried / tally.scoring_seconds, 2) if tally.tried else 0.0,
            skipped_reasons=reasons,
        )
        row = asdict(summary) | {
            "status": "done" if error_message is None else "failed",
            "error_message": error_message,
            "started_at": self._started_at,
            "finished_at": finished_at,
            "remaining": plan.listed - summary.scored - summary.failed - summary.skipped,
            "model_name": self._scorer.name,
            "model_version": self._scorer.version,
            "model_digest": self._scorer.model_digest,
            "scorer_digest": self._scorer.digest,
            "settings": _describe_settings(self._settings),
            "versions": _list_versions(self._spark),
        }
        values = [tuple(row[name] for name in RUNS.column_names)]
        self._store.append_run(self._spark.createDataFrame(values, RUNS.schema))
        return summary

    def _score_units(self) -> None:
        units, media = self._plan.units, 0
        progress = Progress(units.num_rows)
        worker = create_worker(
            self._spark, self._scorer, self._access, media=self._settings.media, run=self._settings.run
        )
        try:
            while media < units.num_rows:
                commit_units, task_units = self._choose_sizes()
                batch = units.slice(media, commit_units)
                self._score_batch(worker, batch, task_units, progress)
                self._store.publish_detections()
                media += batch.num_rows
        finally:
            progress.close()
            worker.release()

    def _choose_sizes(self) -> tuple[int, int]:
        run, slots = self._settings.run, count_slots(self._spark)
        rate = self._tally.tried / self._tally.scoring_seconds if self._tally.tried else 0.0
        task_units = run.task_units or max(_FIRST_TASK_UNITS, int(_TASK_SECONDS * rate / slots))
        at_least = _TASKS_PER_SLOT * slots * task_units
        return run.commit_units or max(at_least, int(run.commit_every_s * rate)), task_units

    def _score_batch(self, worker: Worker, batch: pa.Table, task_units: int, progress: Progress) -> None:
        began = time.monotonic()
        tasks = list(cut_into_tasks(batch, task_units, count_slots(self._spark)))
        results = score_on_executors(self._spark, worker, tasks).persist()
        try:
            group = f"{self.run_id}-{uuid.uuid4().hex[:8]}"
            self._spark.sparkContext.setJobGroup(group, f"score {batch.num_rows} media")
            with progress.watch(self._spark, group, len(tasks), batch.num_rows):
                counts = _count_by_status(results)
            self._tally.scoring_seconds += time.monotonic() - began
            inserted = self._commit(results)
        finally:
            results.unpersist()
        if inserted == batch.num_rows:
            self._tally.add(counts)
        else:  # another run was quicker with some of them
            mine = self._store.read(SCORES).where(sf.col("run_id") == self.run_id)
            self._tally.replace(_count_by_status(mine.where("status <> 'skipped'")))
            self._tally.elsewhere += batch.num_rows - inserted

    def _commit(self, results: DataFrame) -> int:
        scored_at = datetime.now(UTC)
        complete = results.withColumns(
            {
                "media_kind": sf.lit("image"),
                "segment_index": sf.lit(0),
                "segment_start_s": sf.lit(None).cast("double"),
                "segment_end_s": sf.lit(None).cast("double"),
                "model_name": sf.lit(self._scorer.name),
                "model_version": sf.lit(self._scorer.version),
                "model_digest": sf.lit(self._scorer.model_digest),
                "scorer_digest": sf.lit(self._scorer.digest),
                "run_id": sf.lit(self.run_id),
                "scored_at": sf.lit(scored_at),
                "scored_date": sf.lit(scored_at.date()),
            }
        )
        return self._store.insert_new_scores(complete)

    def _record_skipped(self) -> None:
        recorded = self._spark.createDataFrame(self._plan.recorded)
        known = {"status": sf.lit("skipped"), "error_class": sf.col("reason")}
        missing = {
            f.name: sf.lit(None).cast(f.dataType) for f in RESULT if f.name not in {*UNIT.names, *known}
        }
        self._commit(recorded.withColumns(known | missing))


def _count_by_status(rows: DataFrame) -> dict[str, tuple[int, int]]:
    counted = rows.groupBy("status").agg(
        sf.count("*").alias("media"), sf.sum("detection_count").alias("boxes")
    )
    return {row["status"]: (row["media"], row["boxes"] or 0) for row in counted.collect()}


def _describe_settings(settings: ScoreSettings) -> str:
    # Spark settings and the options of a URI may hold keys; neither tells what was scored.
    described = settings.model_dump(mode="json", by_alias=True, exclude={"config", "spark"})
    described["media"]["paths"] = [name_medium(path) for path in settings.media.paths]
    described["model"]["uri"] = name_medium(settings.model.uri)
    return json.dumps(described)


def _list_versions(spark: SparkSession) -> dict[str, str]:
    packages = ("detector", "delta-spark", "tensorflow", "opencv-python-headless", "pillow", "simplejpeg")
    return {"python": platform.python_version(), "spark": spark.version} | {p: version(p) for p in packages}
