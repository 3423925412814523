"""jobs/score.py as a user runs it: exit codes, the last line, what is refused, executors of several kinds."""

import os
import subprocess
import sys
from pathlib import Path

import deltalake
import pyspark
import pytest

from .conftest import DEMO_LABELS, DEMO_MODEL, run_job

SPARK_HOME = Path(pyspark.__file__).parent


def flags(tmp_path, **changes):
    """Give the flags of a run over tmp_path/photos with the demo's model."""
    given = {
        "media.paths": tmp_path / "photos",
        "model.uri": DEMO_MODEL,
        "model.labels": DEMO_LABELS,
        "tables.root": tmp_path / "tables",
    } | {key.replace("__", "."): value for key, value in changes.items()}
    return [word for key, value in given.items() for word in (f"--{key}", value)]


@pytest.mark.data
@pytest.mark.spark
def test_every_odd_image_is_one_row(data_pack, tmp_path):
    """Each odd or broken picture of the pack: one row, scored or failed with a reason; exit 0 or 3."""
    folder = data_pack / "images_odd"
    code, summary, _ = run_job(*flags(tmp_path, media__paths=folder, media__include="*"))
    rows = deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).to_pyarrow_table().to_pylist()
    assert sorted(row["media_uri"] for row in rows) == sorted(str(file) for file in folder.iterdir())
    assert {row["status"] for row in rows} == {"scored", "failed"}
    assert all(row["error_class"] and row["error_message"] for row in rows if row["status"] == "failed")
    failed = sum(row["status"] == "failed" for row in rows)
    assert (summary["listed"], summary["failed"]) == (len(rows), failed)
    assert code == (3 if failed / len(rows) > 0.05 else 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"media__pathz": "x"}, "media.pathz"),
        ({"media__max_pixels": "many"}, "media.max_pixels"),
        ({"model__uri": "nowhere"}, "nowhere"),
        ({"model__uri": __file__}, Path(__file__).name),
        ({"model__labels": "nowhere.txt"}, "nowhere.txt"),
    ],
)
def test_refusals_come_before_spark_and_write_nothing(tmp_path, photos, changes, message):
    """Settings, model and labels: exit code 2, named on standard error, no table, no Java started."""
    photos([1])
    environment = os.environ | {"JAVA_HOME": "/nonexistent"}
    code, summary, errors = run_job(*flags(tmp_path, **changes), env=environment)
    assert (code, summary) == (2, None)
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "tables").exists()


@pytest.mark.spark
def test_a_missing_folder_is_refused(tmp_path):
    """media.paths that don't exist: exit code 2, no table."""
    code, _, errors = run_job(*flags(tmp_path))
    assert (code, "media.paths" in errors, (tmp_path / "tables").exists()) == (2, True, False)


@pytest.mark.cluster
def test_executors_of_their_own(tmp_path, photos):
    """local-cluster: two executor processes give one row for each file."""
    photos(range(20))
    environment = os.environ | {"SPARK_HOME": str(SPARK_HOME)}
    code, summary, errors = run_job(
        *flags(tmp_path, spark__master="local-cluster[2,1,1024]", run__task_units=5), env=environment
    )
    assert code == 0, errors
    check_twenty(tmp_path, summary)


@pytest.fixture
def standalone_master(tmp_path):
    """Start a standalone master and two workers on loopback; give the master's URL."""
    environment = os.environ | {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1"}
    launcher = str(SPARK_HOME / "bin" / "spark-class")
    log = (tmp_path / "master.log").open("w")
    package = "org.apache.spark.deploy"
    ports = ("--port", "0", "--webui-port", "0")
    started = [
        subprocess.Popen(
            [launcher, f"{package}.master.Master", "--host", "127.0.0.1", *ports],
            stderr=log,
            stdout=log,
            env=environment,
        )
    ]
    url = wait_for_url(tmp_path / "master.log")
    for number in (1, 2):
        words = [
            launcher,
            f"{package}.worker.Worker",
            "--host",
            "127.0.0.1",
            "--cores",
            "1",
            "--memory",
            "1g",
        ]
        words += ["--work-dir", str(tmp_path / f"worker{number}"), *ports, url]
        started.append(subprocess.Popen(words, stderr=log, stdout=log, env=environment))
    yield url
    for process in reversed(started):
        process.terminate()
        process.wait(30)
    log.close()


def wait_for_url(log):
    """Wait until the master says where it listens."""
    import re
    import time

    for _ in range(120):
        found = re.search(r"spark://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found.group()
        time.sleep(0.5)
    raise AssertionError(f"the master did not start: {log.read_text()}")


@pytest.mark.cluster
def test_a_standalone_cluster_of_two_workers(tmp_path, photos, standalone_master):
    """A real master and two workers, started here: one row for each file."""
    photos(range(20))
    code, summary, errors = run_job(
        *flags(tmp_path, spark__master=standalone_master, run__task_units=5),
        "--spark.conf",
        '{"spark.driver.host": "127.0.0.1", "spark.executor.memory": "512m"}',
        env=os.environ | {"PYSPARK_PYTHON": sys.executable},
    )
    assert code == 0, errors
    check_twenty(tmp_path, summary)


def check_twenty(tmp_path, summary):
    """Twenty pictures scored, each in one row."""
    rows = deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).to_pyarrow_table().to_pylist()
    assert (summary["listed"], summary["scored"], len({row["media_uri"] for row in rows}), len(rows)) == (
        20,
    ) * 4
