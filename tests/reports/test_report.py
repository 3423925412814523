"""The report job: answers on standard output, a page, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import SettingsError
from detector.reports.report import ReportSettings, ReportTables, write_report
from detector.settings_sources import load_settings


def test_answers_count_labels_and_list_failures(tables):
    """Without a question of one's own, the two usual ones are answered."""
    by_label, failures = write_report(ReportSettings(tables=ReportTables(root=str(tables))))
    assert "circle" in by_label
    assert "ghost" not in by_label
    assert "DamagedImage" in failures


def test_own_question_is_answered_alone(tables):
    """``sql`` replaces the usual questions."""
    settings = ReportSettings(
        tables=ReportTables(root=str(tables)), sql="SELECT 40 + scored AS answer FROM runs"
    )
    (answer,) = write_report(settings)
    assert "44" in answer


def test_wrong_question_is_a_settings_error(tables):
    """SQL that DuckDB refuses is reported as a setting."""
    with pytest.raises(SettingsError, match=r"sql: .*nope"):
        write_report(ReportSettings(tables=ReportTables(root=str(tables)), sql="SELECT nope FROM runs"))


def test_page_is_written_where_asked(tables, tmp_path):
    """``out`` gets the page; its folder is made."""
    out = tmp_path / "new" / "report.html"
    flags = ["--tables.root", str(tables), "--out", str(out), "--title", "Shapes"]
    write_report(load_settings(ReportSettings, flags))
    assert "<h1>Shapes</h1>" in out.read_text()


def test_job_exits_2_without_tables(tmp_path):
    """The job names the missing table and exits with 2."""
    job = Path(__file__).resolve().parents[2] / "jobs" / "report.py"
    done = subprocess.run(
        [sys.executable, job, "--tables.root", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Delta table scores" in done.stderr


def test_reports_load_neither_tensorflow_nor_cv2_nor_spark():
    """Importing the report loads no decoder, no TensorFlow and no Spark."""
    code = "import sys, detector.reports.report; print({'tensorflow', 'cv2', 'pyspark'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
