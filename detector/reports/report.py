"""The report job: short tables for the terminal, a page or a clip for the browser.

Owns the job's settings and its default questions. Reads Delta tables only; Spark runs for those of a catalog.
"""

from pathlib import Path
from typing import Self

import duckdb
from pydantic import Field, model_validator

from detector.errors import SettingsError
from detector.reports.clip import ClipSettings, write_clip
from detector.reports.page import write_page
from detector.reports.query import open_tables
from detector.reports.scored_video import read_streams
from detector.settings_sources import JobSettings, Section

_DETECTIONS_BY_LABEL = """
SELECT label, count(*) AS detections, count(DISTINCT media_uri) AS files, round(avg(score), 3) AS mean_score
FROM current_detections GROUP BY label ORDER BY detections DESC, label"""
_FAILURES = """
SELECT media_uri, error_class, arg_min(error_message, segment_index) AS error_message
FROM current_scores WHERE error_class IS NOT NULL GROUP BY media_uri, error_class ORDER BY ALL"""


class ReportTables(Section):
    """Which tables to read."""

    root: str | None = Field(
        None, description="folder of the Delta tables: local, or a URI that deltalake reads"
    )
    schema_: str | None = Field(
        None, alias="schema", description="catalog.schema of the tables, instead of a root: read by Spark"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.root is None) == (self.schema_ is None):
            raise ValueError("give tables.root or tables.schema, one of them")
        return self


class ReportSettings(JobSettings):
    """Report what the tables hold: a table on standard output and a page with boxes on pictures and stills.

    With clip.video, an annotated clip instead:
    --clip.video walk.mkv --clip.start_s 10 --clip.end_s 20 --out clip.mp4

    Exit codes: 0 done, 1 unexpected error, 2 settings refused.
    """

    tables: ReportTables
    out: Path | None = Field(
        None, description="file to write: the page, .html; with clip.video the clip, .mp4 (default: none)"
    )
    clip: ClipSettings = ClipSettings()
    title: str = Field("What the pictures show", description="the page's heading")
    sql: str | None = Field(
        None,
        description="the question instead of the usual ones, in DuckDB's SQL, of scores, detections, runs, "
        "current_scores, current_detections",
    )

    @model_validator(mode="after")
    def _clip_goes_to_mp4(self) -> Self:
        suffix = None if self.out is None else self.out.suffix.lower()
        if self.clip.video is not None and suffix != ".mp4":
            raise ValueError("clip.video needs --out with a name that ends in .mp4")
        if self.clip.video is None and suffix == ".mp4":
            raise ValueError("out ends in .mp4: give --clip.video, or a name that ends in .html for the page")
        return self


def write_report(settings: ReportSettings) -> list[str]:
    """Write the page or the clip, if ``out`` is set, and return the answers as text.

    With ``clip.video`` the usual questions are left out. Raises ``SettingsError`` where a table is not there,
    ``sql`` is refused by DuckDB, or the clip can't be made.
    """
    connection = _open(settings.tables)
    if settings.clip.video is not None and settings.out is not None:
        answers = [] if settings.sql is None else [_answer(connection, settings.sql)]
        return [*answers, write_clip(connection, settings.clip, settings.out).describe()]
    questions = [_DETECTIONS_BY_LABEL, _FAILURES] if settings.sql is None else [settings.sql]
    answers = [_answer(connection, question) for question in questions]
    if settings.out is not None:
        streams = read_streams(connection)
        write_page(connection, settings.out, title=settings.title, streams=streams)
    return answers


def _open(tables: ReportTables) -> duckdb.DuckDBPyConnection:
    if tables.root is not None:
        return open_tables(tables.root)
    from detector.reports.catalog import open_catalog  # a report from a folder starts without Spark

    return open_catalog(str(tables.schema_))


def _answer(connection: duckdb.DuckDBPyConnection, question: str) -> str:
    try:
        # DuckDB's text of a relation; one of no rows (a statement) is None.
        return str(connection.sql(question) or "")
    except duckdb.Error as error:
        raise SettingsError(f"sql: {error}") from error
