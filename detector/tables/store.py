"""The Delta tables of one place: a folder, or a schema of a catalog.

Owns how the tables are named, made, read and added to: insert scores that aren't there yet, publish
detections from them, append a run, append an evaluation's thresholds. What takes rows away is
``detector.tables.maintenance``.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from detector.errors import SettingsError
from detector.settings import TableSettings
from detector.tables.conflicts import retry_on_conflict
from detector.tables.creation import create_table, define_column
from detector.tables.detections import flatten_scores
from detector.tables.evolution import list_lacking
from detector.tables.schemas import ALL_TABLES, DETECTIONS, RUNS, SCORES, THRESHOLDS, Column, Table


@dataclass(frozen=True)
class TableStore:
    """The tables below ``root`` or in ``schema``, and where the publishing stream keeps its progress."""

    spark: SparkSession
    root: str | None
    schema: str | None
    checkpoints: str

    def create(self, tables: Iterable[Table] = ALL_TABLES) -> None:
        """Make the tables that aren't there yet, with comments and clustering; several may do so at once.

        A table of an older version of this project gets the columns that it lacks; its rows have null there.
        Raises ``SettingsError`` when a column is of another type, before anything is changed.
        """
        if self.schema is not None:
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {_quote(self.schema)}")
        lacking = {table: self._list_lacking(table) if self.has(table) else None for table in tables}
        for table, missing in lacking.items():
            if missing is None:
                retry_on_conflict(partial(self._create, table))
            elif missing:
                retry_on_conflict(partial(self._add_columns, table))

    def read(self, table: Table) -> DataFrame:
        """Read a table as it stands now, its columns in the schema's order; no action runs.

        Columns that an older version of this project did not write are null.
        """
        frame = self.spark.table(self.name_of(table))
        lacking = {c.name: sf.lit(None).cast(c.type) for c in table.columns if c.name not in frame.columns}
        return frame.withColumns(lacking).select(*table.column_names)

    def insert_new_scores(self, scores: DataFrame) -> int:
        """Insert the rows of ``scores`` whose score_id the table has not; return how many that were.

        ``scores`` has the schema of ``SCORES``, a row per unit. One commit, or none when nothing is new.
        It is read again when another run commits at the same time: cache it when it is dear.
        """
        rows = scores.select(*SCORES.column_names)

        view = f"new_scores_{uuid.uuid4().hex}"
        rows.createOrReplaceTempView(view)
        merge = f"""
            MERGE INTO {self.name_of(SCORES)} AS committed USING {view} AS new
            ON committed.score_id = new.score_id WHEN NOT MATCHED THEN INSERT *"""
        try:
            return retry_on_conflict(lambda: int(self.spark.sql(merge).collect()[0]["num_inserted_rows"]))
        finally:
            self.spark.catalog.dropTempView(view)

    def publish_detections(self) -> None:
        """Append the detections of every score committed since the last publication, exactly once.

        A Delta stream that stops when it has read what is there: the checkpoint remembers what was
        published, also across a crash between the two. Commits of maintenance, which only takes rows
        away, are passed over.
        """
        retry_on_conflict(self._publish)

    def append_run(self, run: DataFrame) -> None:
        """Append one row of the schema of ``RUNS``."""
        rows = run.select(*RUNS.column_names)
        retry_on_conflict(partial(self._append, rows, RUNS))

    def append_thresholds(self, thresholds: DataFrame) -> None:
        """Append one evaluation's rows, of the schema of ``THRESHOLDS``; the table is made if need be."""
        self.create([THRESHOLDS])
        rows = thresholds.select(*THRESHOLDS.column_names)
        retry_on_conflict(partial(self._append, rows, THRESHOLDS))

    def has(self, table: Table) -> bool:
        """Tell whether the table has been made."""
        if self.schema is not None:
            return self.spark.catalog.tableExists(self.name_of(table))
        return DeltaTable.isDeltaTable(self.spark, self._folder_of(table))

    def open(self, table: Table) -> DeltaTable:
        """Open a table for what SQL can't do: deletes, merges, its history."""
        if self.schema is not None:
            return DeltaTable.forName(self.spark, self.name_of(table))
        return DeltaTable.forPath(self.spark, self._folder_of(table))

    def name_of(self, table: Table) -> str:
        """Name a table as SQL does: delta.`folder/scores` or catalog.schema.scores."""
        if self.schema is not None:
            return self.name_in_schema(table.name)
        return f"delta.`{self._folder_of(table).replace('`', '``')}`"

    def name_in_schema(self, name: str) -> str:
        """Name a table or view of the catalog's schema, quoted."""
        return f"{_quote(str(self.schema))}.{name}"

    def _folder_of(self, table: Table) -> str:
        return f"{self.root}/{table.name}"

    def _create(self, table: Table) -> None:
        folder = self._folder_of(table) if self.schema is None else None
        create_table(self.spark, self.name_of(table), table, folder)

    def _add_columns(self, table: Table) -> None:
        missing = [define_column(column, nullable=True) for column in self._list_lacking(table)]
        if not missing:
            return
        try:
            self.spark.sql(f"ALTER TABLE {self.name_of(table)} ADD COLUMNS ({', '.join(missing)})")
        except AnalysisException:
            if self._list_lacking(table):  # else another run was quicker
                raise

    def _list_lacking(self, table: Table) -> list[Column]:
        name = self.name_of(table)
        return list_lacking(self.spark.table(name).schema, table, name)

    def _append(self, rows: DataFrame, table: Table) -> None:
        writer = rows.write.format("delta").mode("append")
        if self.schema is not None:
            writer.saveAsTable(self.name_of(table))
        else:
            writer.save(self._folder_of(table))

    def _publish(self) -> None:
        reader = self.spark.readStream.format("delta").option("skipChangeCommits", "true")
        in_catalog = self.schema is not None
        committed = reader.table(self.name_of(SCORES)) if in_catalog else reader.load(self._folder_of(SCORES))
        writer = (
            flatten_scores(committed)
            .writeStream.format("delta")
            .outputMode("append")
            .option("checkpointLocation", f"{self.checkpoints}/{DETECTIONS.name}")
            .trigger(availableNow=True)
        )
        if in_catalog:
            query = writer.toTable(self.name_of(DETECTIONS))
        else:
            query = writer.start(self._folder_of(DETECTIONS))
        query.awaitTermination()


def open_store(spark: SparkSession, settings: TableSettings) -> TableStore:
    """Open the place that the settings name; nothing is made yet."""
    root = settings.root
    if root is not None and "://" not in root:
        root = str(Path(root).absolute())
    checkpoints = settings.checkpoints or f"{root}/_checkpoints"
    return TableStore(spark, root, settings.schema_, checkpoints)


def _quote(name: str) -> str:
    parts = name.split(".")
    if not all(part.strip("`") for part in parts):
        raise SettingsError(f"tables.schema {name!r} is no catalog.schema")
    return ".".join("`" + part.strip("`").replace("`", "``") + "`" for part in parts)
