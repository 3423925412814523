"""What `make dist` builds, on a real cluster whose machines have Spark and nothing of this project.

`make dist-check` sets DIST_FOLDER to the folder of the whole archive. Otherwise a thin one is built here: the
interpreter and this project are in it, the packages of others are installed on the cluster's machines.
"""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import deltalake
import pytest

from .standalone import PROJECT, Cluster

DEMO = PROJECT / "conf" / "demo"
SITE = Path(sysconfig.get_path("purelib"))
pytestmark = [
    pytest.mark.own_spark,
    pytest.mark.skipif(platform.system() != "Linux", reason="archives are built and run on Linux"),
]


@pytest.fixture(scope="module")
def build_dist():
    """Give the module of conf/setup, which is no package."""
    spec = importlib.util.spec_from_file_location("build_dist", PROJECT / "conf" / "setup" / "build_dist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dist(tmp_path_factory, build_dist):
    """Give a folder as `make dist` leaves it, beside it ``python``: a cluster's own, without this project."""
    place = tmp_path_factory.mktemp("dist")
    (place / "installed").mkdir()
    (place / "packages").mkdir()
    ours = shutil.ignore_patterns("*detector*", "pyspark*", "*.pth", "__pycache__")
    names = sorted({path.name for path in SITE.iterdir()})
    for name in set(names) - ours("", names):
        (place / "packages" / name).symlink_to(place / "installed" / name)
    build_dist.copy_interpreter(place / "python")
    packages = build_dist.find_packages(place / "python")
    (packages / "cluster.pth").write_text(f"{place / 'packages'}\n")
    out = Path(os.environ.get("DIST_FOLDER") or place / "out").absolute()
    if "DIST_FOLDER" not in os.environ:
        out.mkdir()
        wheel, _ = build_dist.build_wheel(out)
        build_dist.copy_jars(out)
        shutil.copytree(place / "python", place / "environment", symlinks=True)
        with zipfile.ZipFile(wheel) as content:
            content.extractall(build_dist.find_packages(place / "environment"))
        build_dist.pack(place / "environment", out / build_dist.ARCHIVE, 1)
    return out, place


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, dist):
    """Give a cluster of two workers that see the packages of others."""
    installed = dist[1] / "installed"
    with Cluster(tmp_path_factory.mktemp("cluster") / "run", shown={installed: SITE}) as running:
        if not running.isolated:
            installed.rmdir()
            installed.symlink_to(SITE)
        yield running


def submit(cluster, out, executor_python, flags, job):
    """Run a job by spark-submit as docs/clusters.md has it; give the last line of standard output as JSON."""
    small = {
        "spark.driver.host": cluster.master_ip,
        "spark.executor.memory": "512m",
        "spark.sql.shuffle.partitions": "2",  # the default of 200 costs more than the work of ten pictures
        "spark.ui.enabled": "false",
        # These processes live for a minute: the second compiler would cost more than it gives.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    done = subprocess.run(
        [
            "spark-submit", "--master", cluster.url, "--properties-file", PROJECT / "conf" / "spark" / "cluster.conf",
            "--jars", ",".join(map(str, out.glob("delta-*.jar"))),
            *(word for setting in small.items() for word in ("--conf", "=".join(setting))),
            *flags, *map(str, job),
        ],
        env=os.environ | {"PYSPARK_PYTHON": str(executor_python), "PYSPARK_DRIVER_PYTHON": sys.executable},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_executors_start_from_the_archive(dist, cluster, make_media, tmp_path):
    """Interpreter and project out of --archives, Delta out of --jars; both workers had a share, and Delta has the rows."""
    out, _ = dist
    good = 8
    make_media(tmp_path / "pictures", good)
    shutil.copytree(DEMO, tmp_path / "model")  # the project's own folder isn't there for the workers
    job = {
        "media.paths": tmp_path / "pictures",
        "model.uri": tmp_path / "model" / "saved_model",
        "model.labels": tmp_path / "model" / "label_map.pbtxt",
        "tables.root": tmp_path / "tables",
        "run.task_units": 2,
        "run.max_failed_fraction": 1,
    }
    words = [PROJECT / "jobs" / "score.py", *(word for key in job for word in (f"--{key}", job[key]))]
    flags = ["--archives", f"{out / 'environment.tar.gz'}#environment"]
    summary = submit(cluster, out, "./environment/bin/python", flags, words)
    assert (summary["scored"], summary["failed"]) == (good, 2)
    rows = deltalake.DeltaTable(str(tmp_path / "tables" / "detections")).to_pyarrow_table()
    assert rows.num_rows == summary["detections"] > 0
    executors = cluster.list_executors()
    assert all(executors), "a worker had no executor"
    for executor in (executor for of_worker in executors for executor in of_worker):
        assert (executor / "environment" / "bin" / "python").is_file()


WHERE = """
import json
from pyspark.sql import SparkSession

def look(_):
    import detector.models.op_list  # reads a file beside it
    import detector.models.predictor, detector.scoring.worker, socket, sys
    return [(detector.__file__ or detector.__path__[0], sys.executable, len(detector.models.op_list.list_allowed()))]

found = SparkSession.builder.getOrCreate().sparkContext.parallelize(range(2), 2).mapPartitions(look).collect()
print(json.dumps(found))
"""


@pytest.mark.skipif("DIST_FOLDER" in os.environ, reason="the archive alone is asked for")
def test_the_project_by_py_files_to_machines_with_the_packages(dist, cluster, tmp_path):
    """The wheel's bytes as a .zip bring the code, its data files too, where the packages of others are installed."""
    out, place = dist
    job, zipped = tmp_path / "where.py", next(out.glob("detector-*.zip"))
    job.write_text(WHERE)
    python = place / "python" / "bin" / "python"
    for module, executable, operations in submit(cluster, out, python, ["--py-files", zipped], [job]):
        assert zipped.name in module
        assert Path(executable).parent == python.parent
        assert operations > 0


def test_the_wheel_asks_for_no_spark(build_dist, tmp_path):
    """A cluster or Databricks brings its own Spark and Delta: installing the wheel must not bring another."""
    wheel, zipped = build_dist.build_wheel(tmp_path)
    assert wheel.read_bytes() == zipped.read_bytes()
    with zipfile.ZipFile(wheel) as content:
        metadata = next(name for name in content.namelist() if name.endswith("METADATA"))
        lines = content.read(metadata).decode().splitlines()
    wanted = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert any("tensorflow" in line for line in wanted)
    assert not any("spark" in line for line in wanted)
