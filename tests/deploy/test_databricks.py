"""The asset bundle, without a workspace: its resources as Databricks's own classes take them, its references, its jobs' flags.

The classes are generated from the schema that the Databricks CLI checks a bundle by, and refuse unknown fields and values.
The notebook's SQL runs over real tables.
"""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml
from databricks.bundles.jobs import Job
from databricks.bundles.schemas import Schema
from databricks.bundles.volumes import Volume

from detector.measurement.evaluate_settings import EvaluateSettings
from detector.reports.catalog import open_catalog
from detector.reports.query import fetch_rows
from detector.reports.report import ReportSettings
from detector.scoring.job import score
from detector.settings import ScoreSettings
from detector.settings_sources import load_settings
from detector.tables.maintain_settings import MaintainSettings
from detector.training.train_settings import TrainSettings

PROJECT = Path(__file__).resolve().parents[2]
BUNDLE = PROJECT / "conf" / "databricks"
ROOT = yaml.safe_load((BUNDLE / "databricks.yml").read_text())
FILES = sorted((BUNDLE / "resources").glob("*.yml"))
KINDS = {"jobs": Job, "schemas": Schema, "volumes": Volume}
SETTINGS = {"score": ScoreSettings, "train": TrainSettings, "evaluate": EvaluateSettings, "maintain": MaintainSettings, "report": ReportSettings}  # fmt: skip


def read_resources(kind):
    """Read all resources of a kind by name, each with the folder that its paths start from."""
    return {
        name: (body, file.parent)
        for file in FILES
        for name, body in yaml.safe_load(file.read_text())["resources"].get(kind, {}).items()
    }


JOBS = read_resources("jobs")
TASKS = [(job, task, folder) for job, (body, folder) in JOBS.items() for task in body["tasks"]]


def test_resources_are_of_the_bundle_s_schema():
    """No field and no value that the schema doesn't have; nothing but jobs, schemas and volumes is there."""
    found = {kind for file in FILES for kind in yaml.safe_load(file.read_text())["resources"]}
    assert found == set(KINDS)
    for kind, kept_as in KINDS.items():
        for body, _ in read_resources(kind).values():
            kept_as.from_dict(body)
    assert set(JOBS) == {"score", "train", "review", "maintain", "report"}


def test_the_schema_sees_a_typo():
    """A wrong field deep in a job, and a wrong value, are refused."""
    body = yaml.safe_load((BUNDLE / "resources" / "score.yml").read_text())["resources"]["jobs"]["score"]
    cluster = body["job_clusters"][0]["new_cluster"]
    for key, value in (("data_security_mode", "SINGLE"), ("node_type", "x")):
        broken = cluster | {key: value}
        with pytest.raises(ValueError, match=r"SINGLE|node_type"):
            Job.from_dict(body | {"job_clusters": [{"job_cluster_key": "gpus", "new_cluster": broken}]})


def test_the_root_file_has_only_what_a_bundle_may_have():
    """Keys by the documentation of bundles; two targets, one of them the default."""
    assert set(ROOT) == {"bundle", "include", "sync", "artifacts", "variables", "permissions", "targets"}
    assert all(set(body) <= {"description", "default"} for body in ROOT["variables"].values())
    assert {name: body["mode"] for name, body in ROOT["targets"].items()} == {
        "dev": "development",
        "prod": "production",
    }
    for body in ROOT["targets"].values():
        assert set(body) <= {"mode", "default", "variables", "workspace", "run_as"}
        assert set(body.get("variables", {})) <= set(ROOT["variables"])
    assert [line["level"] for line in ROOT["permissions"]] == ["CAN_MANAGE", "CAN_VIEW"]


def test_every_reference_leads_somewhere():
    """Variables are there and all are used; resources that are named are there; synced and included files, too."""
    text = "\n".join(file.read_text() for file in [BUNDLE / "databricks.yml", *FILES])
    references = set(re.findall(r"\$\{([^}]+)\}", text))
    variables = {reference.removeprefix("var.") for reference in references if reference.startswith("var.")}
    assert variables == set(ROOT["variables"])
    for reference in references - {f"var.{name}" for name in variables}:
        first, *rest = reference.split(".")
        if first == "resources":
            assert rest[1] in read_resources(rest[0]), reference
        else:
            assert reference in {"bundle.name", "bundle.target", "workspace.file_path"}
    assert all((BUNDLE / path).exists() for path in ROOT["sync"]["paths"])
    assert {path for pattern in ROOT["include"] for path in BUNDLE.glob(pattern)} == set(FILES)


@pytest.mark.parametrize("name", JOBS)
def test_one_run_at_a_time_and_it_ends(name):
    """Whatever starts it: one run, a limit, a mail, retries that wait; schedules in Quartz's six fields."""
    body, _ = JOBS[name]
    assert body["max_concurrent_runs"] == 1
    assert body["timeout_seconds"] > 0
    assert body["email_notifications"]["on_failure"] == ["${var.notify}"]
    assert all(
        task["max_retries"] > 0 and task["min_retry_interval_millis"] >= 60_000 for task in body["tasks"]
    )
    keys = {cluster["job_cluster_key"] for cluster in body["job_clusters"]}
    assert {task["job_cluster_key"] for task in body["tasks"]} == keys
    assert all(
        cluster["new_cluster"]["data_security_mode"] == "SINGLE_USER" for cluster in body["job_clusters"]
    )
    if "schedule" in body:
        seconds, *_, day_of_month, _, day_of_week = body["schedule"]["quartz_cron_expression"].split()
        assert (seconds, "?" in (day_of_month, day_of_week)) == ("0", True)
    assert ("schedule" in body) == (name in {"score", "maintain", "report"})


@pytest.mark.parametrize(("job", "task", "folder"), TASKS, ids=[task["task_key"] for _, task, _ in TASKS])
def test_tasks_run_what_is_there_with_flags_that_it_knows(job, task, folder):
    """Files exist and are synced; the job's own settings take the parameters, variables filled in."""
    if "notebook_task" in task:
        assert (folder / task["notebook_task"]["notebook_path"]).is_file()
        return
    assert (folder / task["spark_python_task"]["python_file"]).resolve() == BUNDLE / "run.py"
    script, *parameters = task["spark_python_task"]["parameters"]
    assert script.startswith("${workspace.file_path}/jobs/")
    path = PROJECT / script.removeprefix("${workspace.file_path}/")
    assert path.is_file()
    filled = [
        word.replace("${workspace.file_path}", str(PROJECT)).replace("${", "").replace("}", "")
        for word in parameters
    ]
    load_settings(SETTINGS[path.stem], filled)


def test_libraries_are_the_project_s_own_and_no_spark():
    """Each package with the version of pyproject.toml; the runtime's Spark and Delta stay."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    known = {
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    }
    for _, task, _ in TASKS:
        packages = [library["pypi"]["package"] for library in task["libraries"] if "pypi" in library]
        assert set(packages) <= known
        assert [library for library in task["libraries"] if "whl" in library] == [
            {"whl": "../../../dist/*.whl"}
        ]
        assert not any("spark" in package for package in packages)
    assert ROOT["artifacts"]["detector"]["build"].endswith("--out-dir dist")
    assert (BUNDLE / ROOT["artifacts"]["detector"]["path"]).resolve() == PROJECT


def test_a_task_ends_by_an_error_exactly_when_its_job_does(tmp_path):
    """Exit code 0 is a normal end without SystemExit; any other is named."""
    run = runpy.run_path(str(BUNDLE / "run.py"))["run"]
    job = tmp_path / "job.py"
    job.write_text(
        "import sys\ndef main(arguments):\n    return int(arguments[0])\nif __name__ == '__main__':\n    sys.exit(9)\n"
    )
    run(str(job), ["0"])
    with pytest.raises(RuntimeError, match=r"job\.py left with exit code 2"):
        run(str(job), ["2"])
    run(str(PROJECT / "jobs" / "score.py"), ["--help"])
    with pytest.raises(RuntimeError, match="exit code 2"):
        run(str(PROJECT / "jobs" / "score.py"), ["--media.pathz", "x"])


class Notebook:
    """What Databricks gives a notebook beside ``spark``: its widgets."""

    def __init__(self, **values):
        """Fill the widgets."""
        self.widgets, self._values = self, values

    def text(self, name, default):
        """Make a text field."""
        self._values.setdefault(name, default)

    def get(self, name):
        """Give a field's value."""
        return self._values[name]


@pytest.fixture(scope="module")
def schema(spark, make_media, tmp_path_factory):
    """Give a schema in which the demo's model scored a folder."""
    folder = tmp_path_factory.mktemp("catalog")
    make_media(folder / "media", 6)
    demo = PROJECT / "conf" / "demo"
    score(
        spark,
        ScoreSettings(
            media={"paths": [str(folder / "media")]},
            model={"uri": str(demo / "saved_model"), "labels": str(demo / "label_map.pbtxt")},
            tables={"schema": "vision_of_tests", "checkpoints": str(folder / "progress")},
        ),
    )
    yield "vision_of_tests"
    spark.sql("USE default")
    spark.sql("DROP SCHEMA vision_of_tests CASCADE")


@pytest.mark.spark
def test_the_notebook_s_questions_have_answers(spark, schema):
    """Its Python cells run as they are, its SQL cells on Spark; each question of these tables has rows."""
    first, *cells = (BUNDLE / "questions.sql").read_text().split("\n-- COMMAND ----------\n")
    assert first.startswith("-- Databricks notebook source\n")
    names = {"spark": spark, "dbutils": Notebook(schema=schema)}
    asked = 0
    for cell in map(str.strip, cells):
        magic = re.sub(r"^-- MAGIC ?", "", cell, flags=re.MULTILINE)
        if magic.startswith("%python"):
            exec(compile(magic.removeprefix("%python"), "questions.sql", "exec"), names)
        elif magic == cell:
            assert spark.sql(cell).collect(), cell
            asked += 1
        else:
            assert magic.startswith("%md")
    assert asked == 7


@pytest.mark.spark
def test_a_report_of_a_catalog_s_tables(spark, schema):
    """The same rows as Spark's own count, through the report's own views."""
    connection = open_catalog(schema)
    (row,) = fetch_rows(connection, "SELECT count(*) AS n FROM current_detections")
    assert row["n"] == spark.sql(f"SELECT count(*) FROM {schema}.detections").first()[0] > 0
    assert len(fetch_rows(connection, "SELECT * FROM scores WHERE status = 'failed'")) == 2
