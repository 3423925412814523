"""The image's files: linted, what is copied is there, and the entry point starts what Spark on Kubernetes asks for."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOCKER = PROJECT / "conf" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


def test_hadolint_has_nothing_to_say():
    """By all its rules, shellcheck's included."""
    linter = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [linter, "--failure-threshold", "style", DOCKER / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_what_is_copied_is_there_and_not_ignored():
    """Every source of COPY exists, and the ignore file, which leaves all out by default, lets it in."""
    allowed = {
        line[1:]
        for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copies = [
        line.split()[1:-1]
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    sources = [source for copy in copies for source in copy]
    assert {"pyproject.toml", "uv.lock", "detector", "jobs", "conf"} <= set(sources)
    for source in sources:
        assert (PROJECT / source).exists()
        assert Path(source).parts[0] in allowed


def test_it_runs_as_nobody_special():
    """The last user is a number that is not 0, and the entry point is the script."""
    assert re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE) == [("185", "185")]
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[-1])
    assert entry[-1] == f"/opt/detector/{(DOCKER / 'entrypoint.sh').relative_to(PROJECT)}"
    assert os.access(DOCKER / "entrypoint.sh", os.X_OK)


@pytest.fixture
def run(tmp_path):
    """Give a way to run the entry point; java and spark-submit print their arguments, one a line."""
    shown = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n'
    for name in ("java", "spark/bin/spark-submit"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(shown)
        (tmp_path / name).chmod(0o755)

    def start(*arguments, **environment):
        base = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SPARK_HOME": str(tmp_path / "spark")}
        done = subprocess.run(
            [DOCKER / "entrypoint.sh", *arguments],
            env=base | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return start


EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://driver:7078", "SPARK_EXECUTOR_ID": "3", "SPARK_EXECUTOR_CORES": "16",
    "SPARK_APPLICATION_ID": "spark-1", "SPARK_EXECUTOR_POD_IP": "10.0.0.9", "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "pod-3", "SPARK_EXECUTOR_MEMORY": "4g",
}  # fmt: skip


def test_an_executor(run):
    """Java options in their order, one with a space; Spark's backend for Kubernetes, whose class is in Spark's jars."""
    code, words, _ = run("executor", **EXECUTOR, SPARK_JAVA_OPT_0="-Da=1 2", SPARK_JAVA_OPT_1="-Db=3")
    assert code == 0
    assert words[1:5] == ["-Da=1 2", "-Db=3", "-Xms4g", "-Xmx4g"]
    at = words.index("org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend")
    given = dict(zip(words[at + 1 :: 2], words[at + 2 :: 2], strict=True))
    assert given == {
        "--driver-url": "spark://driver:7078", "--executor-id": "3", "--cores": "16", "--app-id": "spark-1",
        "--hostname": "10.0.0.9", "--resourceProfileId": "0", "--podName": "pod-3",
    }  # fmt: skip


def test_spark_s_backend_takes_these_flags():
    """The real class of this Spark reads the flags, and leaves only as nobody answers at the driver's address."""
    import pyspark

    from detector.installation.java import find_java

    home = Path(pyspark.__file__).parent
    environment = EXECUTOR | {
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:1",
        "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
        "SPARK_EXECUTOR_MEMORY": "256m",
    }
    done = subprocess.run(
        [DOCKER / "entrypoint.sh", "executor"], capture_output=True, text=True, check=False, timeout=120,
        env=environment | {"PATH": f"{find_java().parent}:/usr/bin:/bin", "SPARK_HOME": str(home), "SPARK_USER": "detector"},
    )  # fmt: skip
    assert "Unrecognized" not in done.stderr
    assert "127.0.0.1:1" in done.stderr + done.stdout
    assert done.returncode != 0


def test_a_driver(run):
    """Client mode inside the pod, bound to its address; Spark's own arguments follow."""
    code, words, _ = run(
        "driver",
        "--properties-file",
        "/opt/spark/conf/spark.properties",
        "local:///job.py",
        SPARK_DRIVER_BIND_ADDRESS="10.0.0.8",
    )
    assert code == 0
    assert words[1:3] == ["--conf", "spark.driver.bindAddress=10.0.0.8"]
    assert words[5:] == [
        "--deploy-mode",
        "client",
        "--properties-file",
        "/opt/spark/conf/spark.properties",
        "local:///job.py",
    ]


def test_anything_else_is_a_command(run):
    """The HTTP server, a job, a shell; and what is missing is said by its name."""
    assert run("echo", "jobs/serve.py", "--port 8080")[:2] == (0, ["jobs/serve.py --port 8080"])
    code, _, error = run("executor")
    assert code != 0
    assert "SPARK_EXECUTOR_MEMORY" in error
