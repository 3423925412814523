"""The settings of jobs/maintain.py: what goes, what is kept how long.

Owns their names, defaults and explanations. Refuses a retention that a reader or a scoring run at work could
suffer from.
"""

from pydantic import Field

from detector.settings import SparkSettings, TableSettings
from detector.settings_sources import JobSettings, Section

_SAFE_HOURS = 168  # Delta's own bound: no reader, writer or stream at work is older


class RetainSettings(Section):
    """How long rows stay; null: for ever."""

    superseded_days: int | None = Field(
        None,
        ge=1,
        description="rows scored more days ago than this go where a newer version of the file, or a newer "
        "model of the same name, has rows",
    )
    boxes_days: int | None = Field(
        None,
        ge=1,
        description="boxes found more days ago than this go; the row of scores stays, so that the file isn't "
        "scored again",
    )
    runs_days: int | None = Field(None, ge=1, description="rows of runs finished more days ago than this go")


class ForgetSettings(Section):
    """What to forget, everywhere: its rows of scores and detections, all versions."""

    media: list[str] = Field([], description="media_uri of files, as the tables have it")
    folders: list[str] = Field([], description="folders or URIs with all that is below")


class MaintainSettings(JobSettings):
    """Keep the tables small and quick: publish, forget, expire, compact, vacuum.

    May run while files are scored. A file that is forgotten but still lies in a scored folder is scored again
    by the next run: remove it there first.

    Exit codes: 0 done, 1 unexpected error, 2 settings refused and nothing changed.
    """

    tables: TableSettings
    retain: RetainSettings = RetainSettings()
    forget: ForgetSettings = ForgetSettings()
    compact: bool = Field(True, description="write small files together, clustered for the usual questions")
    vacuum_hours: int | None = Field(
        _SAFE_HOURS,
        ge=_SAFE_HOURS,
        description="files of the tables that no version younger than this needs are deleted, and with them "
        "the bytes of what was forgotten or expired; null: none",
    )
    spark: SparkSettings = SparkSettings()
