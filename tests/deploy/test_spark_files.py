"""Spark's files under conf/: settings that Spark would take, and the jars' lock."""

import re
from pathlib import Path

import pytest

from detector.installation.jars import LOCK_PATH

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "spark"
NUMBERS = ("cpus", "cores", "amount", "maxFailures", "partitions", "snapshotPartitions", "parallelism")


def read_properties(path):
    """Read a file of spark-submit's --properties-file: a name and a value a line, # before a comment."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    assert len({pair[0] for pair in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.conf")), ids=lambda path: path.name)
def test_settings_have_names_and_values(path):
    """Spark ignores what doesn't begin with spark., in silence; counts are numbers."""
    for name, value in read_properties(path).items():
        assert re.fullmatch(r"spark(\.\w+)+", name)
        if name.rpartition(".")[2] in NUMBERS:
            assert float(value) > 0


def test_logging_is_found_by_the_settings():
    """local.conf names the logging's file from the project's folder, and that file has its levels."""
    options = read_properties(FOLDER / "local.conf")["spark.driver.extraJavaOptions"]
    assert options.endswith("conf/spark/log4j2.properties")
    lines = (FOLDER / "log4j2.properties").read_text(encoding="utf-8").splitlines()
    assert all("=" in line for line in lines if line.strip() and not line.startswith("#"))
    assert any(line.replace(" ", "").startswith("rootLogger.level=") for line in lines)


def test_jars_are_locked_by_their_sums():
    """Each line of delta-jars.lock that is no comment holds a SHA-256."""
    assert LOCK_PATH == FOLDER / "delta-jars.lock"
    lines = [line for line in LOCK_PATH.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(re.search(r"\b[0-9a-f]{64}\b", line) for line in lines)
