"""The tables of a catalog, for reports: read once by Spark, as only it may open them.

Owns that reading. The whole tables come into this process's memory: ask a notebook where they are too large.
"""

import duckdb
from pyspark.errors import AnalysisException, ParseException

from detector.errors import SettingsError
from detector.reports.query import TABLES, open_arrow
from detector.session import open_session


def open_catalog(schema: str) -> duckdb.DuckDBPyConnection:
    """Open the tables of ``catalog.schema`` as ``detector.reports.query.open_tables`` does those of a folder.

    An action runs for each table. Raises ``SettingsError`` that names the schema where a table is not there.
    """
    spark = open_session("detector report")
    quoted = ".".join(f"`{part.strip('`')}`" for part in schema.split("."))
    try:
        return open_arrow({name: spark.table(f"{quoted}.{name}").toArrow() for name in TABLES})
    except (AnalysisException, ParseException) as error:
        raise SettingsError(
            f"tables.schema {schema}: {str(error).splitlines()[0]}; run jobs/score.py first"
        ) from error
