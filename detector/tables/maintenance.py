"""Maintenance of the tables: what is forgotten or expired goes, small files are written together.

Owns every delete. Each step is one commit of one table and may be done again: a killed maintenance is made
good by the next one. Rows that a scoring run adds at the same time are neither lost nor published twice.
"""

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame

from detector.errors import SettingsError
from detector.tables.conflicts import retry_on_conflict
from detector.tables.creation import write_literal
from detector.tables.maintain_settings import ForgetSettings, MaintainSettings, RetainSettings
from detector.tables.schemas import ALL_TABLES, DETECTIONS, RUNS, SCORES, Table
from detector.tables.store import TableStore
from detector.tables.views import select_current_scores

_NEEDED = (SCORES, DETECTIONS, RUNS)


@dataclass(frozen=True)
class Maintained:
    """Rows that went, by reason, and the number of data files before and after compaction.

    ``scores_emptied`` rows lost their boxes and stay.
    """

    scores_forgotten: int
    scores_superseded: int
    scores_emptied: int
    detections_deleted: int
    runs_deleted: int
    files_before: int
    files_after: int

    def to_dict(self) -> dict[str, int]:
        """Give the counts by name."""
        return asdict(self)


def maintain_tables(
    store: TableStore,
    settings: MaintainSettings,
    name_media: Callable[[str], str],
    tell: Callable[[str], None] = print,
) -> Maintained:
    """Publish what is committed, then forget, expire, compact and vacuum, as the settings say.

    ``name_media`` gives the media_uri of a path as the user typed it. Raises ``SettingsError`` when the place
    has no tables, before anything is changed.
    """
    for table in _NEEDED:
        if not store.has(table):
            raise SettingsError(f"{store.name_of(table)} is no Delta table; run jobs/score.py first")
    store.create()
    files_before = _count_files(store)
    # First, so that no row is taken away before the stream has passed it.
    store.publish_detections()
    forgotten = _forget(store, settings.forget, name_media)
    superseded = _expire_superseded(store, settings.retain.superseded_days)
    if forgotten or superseded:
        # A run at work may have committed a row between the publication and the delete: it passes it now.
        store.publish_detections()
    deleted = _delete_orphans(store)
    emptied, expired = _expire_boxes(store, settings.retain)
    runs = _expire_runs(store, settings.retain.runs_days)
    tell(f"went: {forgotten} scores forgotten, {superseded} superseded, {deleted + expired} detections")
    for table in ALL_TABLES:
        if settings.compact:
            tell(f"compacting {table.name}")
            retry_on_conflict(store.open(table).optimize().executeCompaction)
        if settings.vacuum_hours is not None:
            tell(f"vacuuming {table.name}")
            store.open(table).vacuum(settings.vacuum_hours)
    return Maintained(
        forgotten, superseded, emptied, deleted + expired, runs, files_before, _count_files(store)
    )


def _forget(store: TableStore, forget: ForgetSettings, name_media: Callable[[str], str]) -> int:
    names = [write_literal(name_media(uri)) for uri in forget.media]
    folders = [write_literal(name_media(uri).rstrip("/") + "/") for uri in forget.folders]
    conditions = [f"media_uri = {name}" for name in names]
    conditions += [f"startswith(media_uri, {folder})" for folder in folders]
    return _delete(store, SCORES, " OR ".join(conditions)) if conditions else 0


def _expire_superseded(store: TableStore, days: int | None) -> int:
    if days is None:
        return 0

    def expire() -> int:
        name = store.name_of(SCORES)
        current = store.spark.sql(select_current_scores(name)).select("score_id")
        old = store.read(SCORES).where(f"{_is_older(days)} AND status <> 'skipped'")
        return _delete_ids(store, SCORES, old.join(current, "score_id", "left_anti").select("score_id"))

    return retry_on_conflict(expire)


def _delete_orphans(store: TableStore) -> int:
    """Delete detections whose row of scores is gone.

    The version of ``detections`` is fixed before that of ``scores``, and scores are committed before they are
    published: what is missing there was taken away, and is not just on its way.
    """

    def delete() -> int:
        published = _fix_version(store, DETECTIONS).select("score_id").distinct()
        scored = _fix_version(store, SCORES).select("score_id")
        return _delete_ids(store, DETECTIONS, published.join(scored, "score_id", "left_anti"))

    return retry_on_conflict(delete)


def _expire_boxes(store: TableStore, retain: RetainSettings) -> tuple[int, int]:
    """Empty old rows of scores, then delete their detections; count both."""
    if retain.boxes_days is None:
        return 0, 0
    old = _is_older(retain.boxes_days)
    name, kept = store.name_of(SCORES), "frames IS NOT NULL"
    emptied = _change(store, f"UPDATE {name} SET frames = NULL WHERE {old} AND {kept}")  # noqa: S608 (numbers only)
    return emptied, _delete(store, DETECTIONS, old)


def _expire_runs(store: TableStore, days: int | None) -> int:
    return 0 if days is None else _delete(store, RUNS, _is_older(days, "finished_at"))


def _is_older(days: int, column: str = "scored_at") -> str:
    return f"{column} < current_timestamp() - INTERVAL {int(days)} DAYS"


def _delete(store: TableStore, table: Table, condition: str) -> int:
    return _change(store, f"DELETE FROM {store.name_of(table)} WHERE {condition}")  # noqa: S608 (literals are quoted)


def _delete_ids(store: TableStore, table: Table, ids: DataFrame) -> int:
    # Asked first: a merge of nothing would still read the whole table.
    ids = ids.persist()
    view = f"gone_{uuid.uuid4().hex}"
    try:
        if ids.isEmpty():
            return 0
        ids.createOrReplaceTempView(view)
        return _change(
            store,
            f"MERGE INTO {store.name_of(table)} AS kept USING {view} AS gone "
            "ON kept.score_id = gone.score_id WHEN MATCHED THEN DELETE",
        )
    finally:
        store.spark.catalog.dropTempView(view)
        ids.unpersist()


def _fix_version(store: TableStore, table: Table) -> DataFrame:
    version = store.open(table).history(1).collect()[0]["version"]
    return store.spark.sql(f"SELECT * FROM {store.name_of(table)} VERSION AS OF {version}")  # noqa: S608 (a number)


def _count_files(store: TableStore) -> int:
    details = [store.open(table).detail().collect()[0] for table in ALL_TABLES]
    return sum(int(detail["numFiles"]) for detail in details)


def _change(store: TableStore, statement: str) -> int:
    """Run a statement and give the number of rows that it changed."""

    def change() -> int:
        return int(store.spark.sql(statement).collect()[0]["num_affected_rows"])

    return retry_on_conflict(change)
