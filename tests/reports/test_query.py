"""SQL over Delta tables without Spark."""

import duckdb
import pytest

from detector.errors import SettingsError
from detector.reports.query import open_tables


@pytest.mark.parametrize(("name", "rows"), [("scores", 6), ("detections", 5), ("runs", 1)])
def test_tables_have_all_their_rows(tables, name, rows):
    """Each table is a relation of its name."""
    assert open_tables(str(tables)).sql(f"SELECT count(*) FROM {name}").fetchall() == [(rows,)]


def test_current_scores_are_the_newest_versions(tables):
    """An older version and a skipped file are not current."""
    found = open_tables(str(tables)).sql("SELECT score_id FROM current_scores ORDER BY ALL").fetchall()
    assert found == [("failed",), ("hostile",), ("plain",), ("turned",)]


def test_current_detections_leave_out_older_versions(tables):
    """A detection of an older version is not current."""
    labels = open_tables(str(tables)).sql("SELECT DISTINCT label FROM current_detections").fetchall()
    assert ("ghost",) not in labels
    assert len(labels) == 3


def test_missing_table_is_named(tmp_path):
    """A folder without tables is refused by name."""
    with pytest.raises(SettingsError, match=r"no Delta table scores; run jobs/score\.py"):
        open_tables(str(tmp_path))


@pytest.mark.parametrize("query", ["FROM read_text('{path}')", "INSTALL httpfs", "COPY runs TO '{path}'"])
def test_other_files_and_extensions_are_refused(tables, tmp_path, query):
    """SQL reaches the tables and nothing else."""
    path = tmp_path / "note.txt"
    path.write_text("private")
    with pytest.raises(duckdb.PermissionException):
        open_tables(str(tables)).execute(query.format(path=path))
