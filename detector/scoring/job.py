"""The scoring run: list, plan, score in batches, commit each, publish, and say what was done.

Owns the order of these steps. Every unit that a run tries ends as one committed row; a run that is
killed leaves what it committed, and the next run's plan holds the rest.
"""

import json
import platform
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from detector.media.filesystem import FileAccess, build_access, name_medium
from detector.media.listing import list_media
from detector.models.registry import is_registered
from detector.redaction import make_safe, make_values_safe
from detector.scoring.balance import Costs, cut_into_tasks, estimate_costs, order_units
from detector.scoring.decoders import build_limits
from detector.scoring.executors import count_slots, create_worker, score_on_executors
from detector.scoring.manifest import list_manifest
from detector.scoring.plan import Digests, Plan, make_plan
from detector.scoring.progress import Progress, Share
from detector.scoring.scorer import Scorer, load_scorer
from detector.scoring.segmentation import Segmenter
from detector.scoring.tally import Counts, open_tally
from detector.scoring.units import RESULT
from detector.scoring.worker import Worker
from detector.settings import ScoreSettings
from detector.tables.schemas import RUNS, SCORES
from detector.tables.store import TableStore, open_store

_FIRST_TASK_PICTURES = 64.0  # before a rate is known
_TASK_SECONDS = 15  # long beside what starting a task costs, short beside a commit
_PACKAGES = (
    "detector", "delta-spark", "tensorflow", "tensorflow-cpu", "opencv-python-headless", "pillow",
    "simplejpeg",
)  # fmt: skip
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
    frames: int
    video_s: float
    seconds: float
    images_per_second: float
    skipped_reasons: dict[str, int]

    def to_json(self) -> str:
        """Give the job's last line."""
        return json.dumps(asdict(self))


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
    digests = Digests(scorer.digest, scorer.compute_video_digest(settings.media.video))
    plan = make_plan(
        spark,
        listed,
        store.read(SCORES),
        digests=digests,
        rescore=settings.run.rescore,
        segmenter=Segmenter(access, settings.media, build_limits(settings.run)),
        slots=count_slots(spark),
    )
    run = _Run(spark, settings, store, scorer, access, plan, digests, started_at)
    try:
        run.work_off()
    except BaseException as error:
        run.write_row(make_safe(f"{type(error).__name__}: {error}", settings)[:2000])
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
        digests: Digests,
        started_at: datetime,
    ) -> None:
        self.run_id = f"{started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._spark, self._settings, self._store, self._scorer = spark, settings, store, scorer
        self._access, self._plan, self._digests, self._started_at = access, plan, digests, started_at
        self._tally = open_tally(plan.units)

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
            frames=tally.frames,
            video_s=round(tally.video_s, 3),
            seconds=round((finished_at - self._started_at).total_seconds(), 3),
            images_per_second=round(tally.tried / tally.seconds, 2) if tally.tried else 0.0,
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
        units = order_units(self._plan.units)
        costs = estimate_costs(units)
        progress = Progress(_sum_up(units, costs))
        worker = create_worker(
            self._spark, self._scorer, self._access, media=self._settings.media, run=self._settings.run
        )
        try:
            while units.num_rows:
                end = self._choose_end(costs)
                was_alone = self._score_batch(worker, units.slice(0, end), costs.slice(0, end), progress)
                self._store.publish_detections()
                units = units.slice(end)
                if not was_alone and units.num_rows:
                    units = self._leave_to_others(units)
                    progress.total = progress.done + _sum_up(units, estimate_costs(units))
                costs = estimate_costs(units)
        finally:
            progress.close()
            worker.release()

    def _choose_task_pictures(self) -> float:
        return max(_FIRST_TASK_PICTURES, _TASK_SECONDS * self._tally.rate / count_slots(self._spark))

    def _choose_end(self, costs: Costs) -> int:
        """Choose where the commit ends that begins with the first unit."""
        run, least = self._settings.run, _TASKS_PER_SLOT * count_slots(self._spark)
        count = len(costs.pictures)
        if run.commit_units:
            return min(count, run.commit_units)
        pictures = max(least * self._choose_task_pictures(), run.commit_every_s * self._tally.rate)
        reached = int(np.searchsorted(np.cumsum(costs.pictures), pictures, side="right"))
        return min(count, max(least, reached))

    def _cut(self, batch: pa.Table, costs: Costs) -> list[pa.Table]:
        units, slots = self._settings.run.task_units, count_slots(self._spark)
        if units:
            return cut_into_tasks(batch, np.ones(batch.num_rows), units, slots)
        return cut_into_tasks(batch, costs.pictures, self._choose_task_pictures(), slots)

    def _score_batch(self, worker: Worker, batch: pa.Table, costs: Costs, progress: Progress) -> bool:
        """Score and commit a batch; tell whether no other run was quicker with any of it."""
        began = time.monotonic()
        tasks = self._cut(batch, costs)
        results = score_on_executors(self._spark, worker, tasks).persist()
        try:
            group = f"{self.run_id}-{uuid.uuid4().hex[:8]}"
            self._spark.sparkContext.setJobGroup(group, f"score {batch.num_rows} units")
            with progress.watch(self._spark, group, len(tasks), _sum_up(batch, costs)):
                counts = _count(results)
            self._tally.seconds += time.monotonic() - began
            inserted = self._commit(results)
        finally:
            results.unpersist()
        self._tally.pictures += float(costs.pictures.sum())
        self._tally.video_s += float(costs.video_s.sum())
        was_alone: bool = inserted == batch.num_rows
        if was_alone:
            self._tally.add(counts)
        else:
            self._add_mine(batch)
        return was_alone

    def _leave_to_others(self, units: pa.Table) -> pa.Table:
        """Give the units that no run has committed yet; the others are counted as done elsewhere."""
        planned = self._spark.createDataFrame(units.select(["score_id"]))
        committed = self._store.read(SCORES).join(planned, "score_id", "left_semi").select("score_id")
        is_done = pc.is_in(units.column("score_id"), committed.toArrow().column("score_id").combine_chunks())
        self._tally.add_elsewhere(units.filter(is_done))
        return units.filter(pc.invert(is_done))

    def _add_mine(self, batch: pa.Table) -> None:
        """Count what this run wrote of a batch of which another run was quicker with some."""
        planned = self._spark.createDataFrame(batch.select(["score_id"]))
        rows = self._store.read(SCORES).where(sf.col("run_id") == self.run_id)
        mine = rows.join(planned, "score_id", "left_semi")
        written = mine.select("score_id").toArrow().column("score_id").combine_chunks()
        self._tally.add(_count(mine))
        self._tally.add_elsewhere(batch.filter(pc.invert(pc.is_in(batch.column("score_id"), written))))

    def _commit(self, results: DataFrame) -> int:
        scored_at = datetime.now(UTC)
        complete = results.withColumns(
            {
                "model_name": sf.lit(self._scorer.name),
                "model_version": sf.lit(self._scorer.version),
                "model_digest": sf.lit(self._scorer.model_digest),
                "scorer_digest": sf.when(sf.col("media_kind") == "video", self._digests.video).otherwise(
                    self._digests.image
                ),
                "run_id": sf.lit(self.run_id),
                "scored_at": sf.lit(scored_at),
                "scored_date": sf.lit(scored_at.date()),
            }
        )
        return self._store.insert_new_scores(complete)

    def _record_skipped(self) -> None:
        recorded = self._spark.createDataFrame(self._plan.recorded)
        known = {
            "status": sf.lit("skipped"),
            "error_class": sf.col("reason"),
            "segment_index": sf.lit(0),
            "segment_count": sf.lit(1),
        }
        missing = {
            f.name: sf.lit(None).cast(f.dataType) for f in RESULT if f.name not in {*recorded.columns, *known}
        }
        self._commit(recorded.withColumns(known | missing))


def _count(rows: DataFrame) -> list[Counts]:
    part_of = sf.when(sf.col("segment_count") > 1, sf.col("media_uri"))
    counted = rows.groupBy(part_of, "status").agg(
        sf.count("*"),
        sf.coalesce(sf.sum("detection_count"), sf.lit(0)),
        sf.coalesce(sf.sum("frames_scored"), sf.lit(0)),
    )
    return [Counts(*row) for row in counted.collect()]


def _sum_up(units: pa.Table, costs: Costs) -> Share:
    parts = pc.struct_field(units.column("segment").combine_chunks(), "count")
    media = float(pc.sum(pc.divide(1.0, pc.fill_null(parts, 1).cast(pa.float64()))).as_py() or 0)
    return Share(media, float(costs.video_s.sum()), float(costs.pictures.sum()))


def _describe_settings(settings: ScoreSettings) -> str:
    # Spark settings, the registry's URI and the options of a URI may hold keys; none tells what was scored.
    described = settings.model_dump(mode="json", by_alias=True, exclude={"config", "spark"})
    del described["model"]["registry_uri"]
    described["media"]["paths"] = [name_medium(path) for path in settings.media.paths]
    if not is_registered(settings.model.uri):
        described["model"]["uri"] = name_medium(settings.model.uri)
    return json.dumps(make_values_safe(described, settings))


def _list_versions(spark: SparkSession) -> dict[str, str]:
    installed = {}
    for package in _PACKAGES:
        # The cluster's archive has tensorflow-cpu; Databricks's Delta is no package of Python's.
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return {"python": platform.python_version(), "spark": spark.version} | installed
