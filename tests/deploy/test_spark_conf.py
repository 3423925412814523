"""Spark's settings files: each line has its reason; the GPUs' addresses are those of nvidia-smi, here a made-up one."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONF = Path(__file__).resolve().parents[2] / "conf" / "spark"
ASK = """
import json
from pyspark import SparkConf, SparkContext
conf = SparkConf().setMaster("local[1]").set("spark.ui.enabled", "false").set("spark.driver.host", "127.0.0.1")
for key, value in (("amount", "2"), ("discoveryScript", "{script}")):
    conf.set("spark.driver.resource.gpu." + key, value)
print(json.dumps(list(SparkContext(conf=conf).resources["gpu"].addresses)))
"""


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Give a maker of an nvidia-smi that prints and leaves as it is told, first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(printed, code=0):
        script = tmp_path / "nvidia-smi"
        script.write_text(
            f"#!/bin/sh\n[ \"$*\" = '--query-gpu=index --format=csv,noheader' ] || exit 9\nprintf '{printed}'\nexit {code}\n"
        )
        script.chmod(0o755)

    return make


def find_gpus():
    """Run the discovery script."""
    return subprocess.run([CONF / "find_gpus.sh"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("printed", "addresses"), [("0\\n", ["0"]), ("0\\n1\\n10\\n", ["0", "1", "10"])])
def test_addresses_are_those_of_nvidia_smi(smi, printed, addresses):
    """One JSON object in the form that Spark reads."""
    smi(printed)
    assert json.loads(find_gpus().stdout) == {"name": "gpu", "addresses": addresses}


@pytest.mark.parametrize(("printed", "code"), [("", 0), ("No devices were found\\n", 0), ("no driver\\n", 9)])
def test_no_gpu_is_a_failure(smi, printed, code):
    """No executor starts where its tasks could never run; the reason is said."""
    smi(printed, code)
    found = find_gpus()
    assert (found.returncode, found.stdout) == (1, "")
    assert "nvidia-smi" in found.stderr


@pytest.mark.own_spark
def test_spark_reads_the_addresses(smi):
    """Spark's own resource discovery runs the script and finds two GPUs."""
    smi("0\\n1\\n")
    code = ASK.format(script=CONF / "find_gpus.sh")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stdout.splitlines()[-1:] == ['["0", "1"]'], found.stderr[-2000:]


@pytest.mark.parametrize("name", ["cluster.conf", "gpu.conf", "local.conf"])
def test_settings_are_key_and_value_with_a_reason(name):
    """A comment stands above each setting or group, no key is given twice."""
    lines = CONF.joinpath(name).read_text().splitlines()
    settings = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(words) == 2 and words[0].startswith("spark.") for words in settings)
    assert len({words[0] for words in settings}) == len(settings)
    for above, line in itertools.pairwise(lines):
        assert not line.startswith("spark.") or above.startswith(("#", "spark.")), line
