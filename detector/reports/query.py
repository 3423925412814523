"""SQL over the tables without Spark: Delta Lake's files read by deltalake, queried by DuckDB.

Owns the connection and which rows are current. Refuses the network and any file but the tables'.
"""

from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from deltalake.exceptions import TableNotFoundError

from detector.errors import SettingsError
from detector.tables.reading import open_dataset

TABLES = ("scores", "detections", "runs")
_LATER = {  # what older versions of this project did not write, and the usual questions ask for
    "scores": {
        "attempt": pa.int32(),
        "segment_index": pa.int32(),
        "segment_count": pa.int32(),
        "frames_expected": pa.int32(),
        "frames_scored": pa.int32(),
        "error_message": pa.string(),
    }
}

# As detector.tables.views has them: of each medium and model the version (file and scorer) that was scored
# last, and of it each segment's last try.
_CURRENT_VIEWS = """
CREATE VIEW current_scores AS
  SELECT * FROM scores WHERE status <> 'skipped'
  QUALIFY row(size_bytes, modified_at, scorer_digest) IS NOT DISTINCT FROM
      first_value(row(size_bytes, modified_at, scorer_digest)) OVER (
        PARTITION BY media_uri, model_name ORDER BY scored_at DESC, attempt DESC)
    AND row_number() OVER (
        PARTITION BY media_uri, model_name, size_bytes, modified_at, scorer_digest, segment_index
        ORDER BY attempt DESC, scored_at DESC) = 1;
CREATE VIEW current_detections AS
  SELECT * FROM detections SEMI JOIN current_scores USING (score_id);
"""


def open_tables(root: str) -> duckdb.DuckDBPyConnection:
    """Open the Delta tables below ``root`` (a folder or URI) as relations of their names.

    Beside ``scores``, ``detections`` and ``runs`` there are ``current_scores`` and
    ``current_detections``: those of the newest version of each medium, by each model. Columns are read when a
    query asks for them. Raises ``SettingsError`` that names the table that is not there.
    """
    connection = _connect()
    for name in TABLES:
        uri = f"{root.rstrip('/')}/{name}"
        try:
            dataset = open_dataset(uri, _LATER.get(name, {}))
        except TableNotFoundError as error:
            raise SettingsError(
                f"tables.root {root}: no Delta table {name}; run jobs/score.py first"
            ) from error
        connection.register(name, dataset)
    connection.execute(_CURRENT_VIEWS)
    return connection


def open_arrow(tables: dict[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """Open Arrow tables with the tables' names and columns, with the same views."""
    connection = _connect()
    for name in TABLES:
        table = tables[name]
        for column, kind in _LATER.get(name, {}).items():
            if column not in table.column_names:
                table = table.append_column(column, pa.nulls(table.num_rows, kind))
        connection.register(name, table)
    connection.execute(_CURRENT_VIEWS)
    return connection


def open_frames(scores: pd.DataFrame, detections: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """Open two frames with the tables' columns as ``scores`` and ``detections``, with the same views."""
    connection = _connect()
    connection.register("scores", scores)
    connection.register("detections", detections)
    connection.execute(_CURRENT_VIEWS)
    return connection


def fetch_rows(connection: duckdb.DuckDBPyConnection, query: str, **values: object) -> list[dict[str, Any]]:
    """Run ``query`` with its $parameters and return its rows by column name."""
    relation = connection.sql(query, params=values)
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def _connect() -> duckdb.DuckDBPyConnection:
    refused = ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access")
    return duckdb.connect(config=dict.fromkeys(refused, "false"))
