"""The report job: short tables for the terminal, a page for the browser.

Owns the job's settings and its default questions. Reads Delta tables only; starts no Spark.
"""

from pathlib import Path

import duckdb
from pydantic import Field

from detector.errors import SettingsError
from detector.reports.page import DETECTION_COLUMNS, SCORE_COLUMNS, write_page
from detector.reports.query import open_tables
from detector.settings import JobSettings, Section

_DETECTIONS_BY_LABEL = """
SELECT label, count(*) AS detections, count(DISTINCT media_uri) AS pictures,
  round(avg(score), 3) AS mean_score
FROM current_detections GROUP BY label ORDER BY detections DESC, label"""
_FAILURES = """
SELECT media_uri, error_class, error_message FROM current_scores
WHERE status = 'failed' ORDER BY media_uri"""


class ReportTables(Section):
    """Which tables to read."""

    root: str = Field(description="folder of the Delta tables: local, or a URI that deltalake reads")


class ReportSettings(JobSettings):
    """Report what the tables hold: a table on standard output and a page with boxes on the pictures.

    Exit codes: 0 done, 1 unexpected error, 2 settings refused.
    """

    tables: ReportTables
    out: Path | None = Field(None, description="HTML file to write (default: none)")
    title: str = Field("What the pictures show", description="the page's heading")
    sql: str | None = Field(
        None,
        description="the question instead of the usual ones, in DuckDB's SQL, of scores, detections, runs, "
        "current_scores, current_detections",
    )


def write_report(settings: ReportSettings) -> list[str]:
    """Write the page, if ``out`` is set, and return the answers to the questions as text tables.

    Raises ``SettingsError`` where a table is not there or ``sql`` is refused by DuckDB.
    """
    connection = open_tables(settings.tables.root)
    questions = [_DETECTIONS_BY_LABEL, _FAILURES] if settings.sql is None else [settings.sql]
    answers = [_answer(connection, question) for question in questions]
    if settings.out is not None:
        scores = connection.table("current_scores").select(*SCORE_COLUMNS).df()
        detections = connection.table("current_detections").select(*DETECTION_COLUMNS).df()
        write_page(scores, detections, settings.out, title=settings.title)
    return answers


def _answer(connection: duckdb.DuckDBPyConnection, question: str) -> str:
    try:
        # DuckDB's text of a relation; one of no rows (a statement) is None.
        return str(connection.sql(question) or "")
    except duckdb.Error as error:
        raise SettingsError(f"sql: {error}") from error
