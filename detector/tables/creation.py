"""How a Delta table is made where there is none, also where another run began to and was killed or paused.

Owns the table's definition in SQL. Refuses a folder that holds anything else, by its name.
"""

import time
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from detector.errors import SettingsError
from detector.tables.schemas import Column, Table

_LOG = "_delta_log"
_NOT_EMPTY = "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"
_PATIENCE_S = 10.0  # another run that is alive has committed by then
_POLL_S = 0.2


def create_table(spark: SparkSession, name: str, table: Table, folder: str | None) -> None:
    """Make a table, with comments and clustering, unless it's there; ``folder`` is None in a catalog.

    Raises ``SettingsError`` when the folder holds other files; Delta's conflicts, when another run makes the
    table at the same time: do it again.
    """
    columns = ", ".join(define_column(column, nullable=column.nullable) for column in table.columns)
    try:
        spark.sql(
            f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta "
            f"CLUSTER BY ({', '.join(table.clustered_by)}) COMMENT {write_literal(table.comment)}"
        )
    except AnalysisException as error:
        if folder is None or error.getCondition() != _NOT_EMPTY:
            raise
    # Where the folder isn't empty, IF NOT EXISTS may take it for a table and do nothing.
    if folder is not None and not _is_made(spark, folder):
        _finish_creation(spark, name, table, folder)


def define_column(column: Column, *, nullable: bool) -> str:
    """Write a column's definition as SQL."""
    return (
        f"{column.name} {column.type.simpleString()}{'' if nullable else ' NOT NULL'} "
        f"COMMENT {write_literal(column.comment)}"
    )


def write_literal(text: str) -> str:
    r"""Write text as SQL's string.

    >>> print(write_literal("o'lake"))
    'o\'lake'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _finish_creation(spark: SparkSession, name: str, table: Table, folder: str) -> None:
    # The other run has made the log's folder and not yet the first commit. If it never will, CREATE TABLE
    # refuses for ever; a write doesn't, and if it still does, one of the two is a conflict.
    deadline = time.monotonic() + _PATIENCE_S
    while not _is_made(spark, folder) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    others = [found for found in _list_names(spark, folder) if found != _LOG]
    if _is_made(spark, folder):  # after the listing: this process may have slept in between
        return
    if others:
        raise SettingsError(
            f"{folder} holds {others[0]} and is no Delta table: name another place for the tables"
        )
    spark.createDataFrame([], table.schema).write.format("delta").mode("append").save(folder)
    spark.sql(f"ALTER TABLE {name} CLUSTER BY ({', '.join(table.clustered_by)})")
    spark.sql(f"COMMENT ON TABLE {name} IS {write_literal(table.comment)}")


def _is_made(spark: SparkSession, folder: str) -> bool:
    # Delta's own answer may be of a moment ago: it keeps what it knows of a log.
    return any(found[:1].isdigit() for found in _list_names(spark, f"{folder}/{_LOG}"))


def _list_names(spark: SparkSession, folder: str) -> list[str]:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 (whatever filesystem Spark writes to)
    path = jvm.org.apache.hadoop.fs.Path(folder)
    system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001
    if not system.exists(path):
        return []
    return sorted(status.getPath().getName() for status in system.listStatus(path))
