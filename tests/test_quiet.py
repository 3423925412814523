"""No job asks anything of the network: they run under strace, and every connection and datagram is counted."""

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detector.annotations.drawn_dataset import write_drawn_dataset

PROJECT = Path(__file__).resolve().parents[1]
OF_TESTS = (
    "PYTEST_",
    "CI",
    "GITHUB_",
    "JENKINS",
    "MLFLOW_",
    "DO_NOT_TRACK",
    "BUILD",
    "SPARK_",
)  # what MLflow is quiet under, and `make` sets
CALLS = "connect,sendto,sendmsg,sendmmsg"
PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
NAME_SERVICE = 53
DONE = "this job is done"
ONE_AFTER_THE_OTHER = f"""
import importlib, json, sys
for job, words in json.loads(sys.argv[1]):
    if importlib.import_module("jobs." + job).main(words) != 0:
        sys.exit(job + " failed")
    print({DONE!r})
"""  # in one process: starting Spark and TensorFlow five times tells no more


def can_trace():
    """Tell whether strace is here and may look into a child."""
    if shutil.which("strace") is None:
        return False
    traced = subprocess.run(["strace", "-f", "-e", "trace=none", "true"], capture_output=True, check=False)
    return traced.returncode == 0


def list_asked(trace):
    """List the calls of a trace that leave this machine or ask a name service, wherever that is."""
    asked = []
    for line in trace.read_text(errors="replace").splitlines():
        addresses = [ipaddress.ip_address(v4 or v6) for v4, v6 in ADDRESS.findall(line)]
        ports = [int(port) for port in PORT.findall(line)]
        own = all(address.is_loopback or (address.version == 6 and _is_own(address)) for address in addresses)
        if addresses and (not own or NAME_SERVICE in ports):
            asked.append(line)
    return asked


def _is_own(address):
    return address.ipv4_mapped is not None and address.ipv4_mapped.is_loopback


def run_traced(folder, jobs):
    """Run jobs as a user does, in a process that nothing takes for a test; give what they asked of the network."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(OF_TESTS)}
    trace = folder / "trace"
    options = ("-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace))
    words = json.dumps([(job, [str(word) for word in words]) for job, words in jobs.items()])
    done = subprocess.run(
        ["strace", *options, sys.executable, "-c", ONE_AFTER_THE_OTHER, words],
        capture_output=True, text=True, check=False, cwd=folder, env=environment | {"PYTHONPATH": str(PROJECT)}, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(DONE) == len(jobs)
    assert "127.0.0.1" in trace.read_text(errors="replace")  # Spark's own: the trace sees connections
    return list_asked(trace)


@pytest.mark.own_spark
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not can_trace(), reason="strace is not installed, or may not trace here")
def test_no_job_asks_anything_of_the_network(tmp_path):
    """Train, score by the registry, evaluate, report, maintain: nothing but this machine is connected to."""
    photos, lake = tmp_path / "photos", tmp_path / "lake"
    write_drawn_dataset(photos, count=16, seed=5)
    registry = f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}"
    tables = ("--tables.root", lake)
    network = (
        "--model.input_px",
        64,
        "--model.levels",
        "3,4",
        "--model.pyramid_width",
        8,
        "--model.backbone",
        "plain",
    )
    model = ("--model.uri", "models:/detector@champion", "--model.registry_uri", registry)
    labels = ("--tables.labels", tmp_path / "package" / "label_map.pbtxt")
    jobs = {
        "train": ("--data.root", photos, "--out", tmp_path / "out", *network, "--fit.epochs", 1,
                  "--tracking.resamples", 100, "--export.folder", tmp_path / "package"),
        "score": ("--media.paths", photos, *model, *tables),
        "evaluate": ("--data.root", photos, *tables, *labels, "--page", tmp_path / "evaluation.html"),
        "report": (*tables, "--out", tmp_path / "report.html"),
        "maintain": (*tables, "--retain.runs_days", 1),
    }  # fmt: skip
    assert run_traced(tmp_path, jobs) == []


def test_the_count_sees_addresses_and_names(tmp_path):
    """Loopback is this machine's own; anything else counts, and so does a question to a name service on it."""
    trace = tmp_path / "trace"
    connect = '7 connect(3, {sa_family=AF_INET, sin_port=htons(%d), sin_addr=inet_addr("%s")}, 16) = 0\n'
    six = '7 connect(3, {sa_family=AF_INET6, sin6_port=htons(%d), inet_pton(AF_INET6, "%s", &sin6_addr)}, 28) = 0\n'
    trace.write_text(
        connect % (443, "93.184.216.34") + connect % (40001, "127.0.0.1") + connect % (53, "127.0.0.11")
        + six % (443, "2606:2800::1") + six % (40001, "::ffff:127.0.0.1") + six % (40001, "::1")
        + '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0\n'
    )  # fmt: skip
    assert [line.split("htons(")[1][:3].strip(")") for line in list_asked(trace)] == ["443", "53", "443"]
