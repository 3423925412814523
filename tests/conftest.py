"""Fixtures that every test may ask for."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

# Programs that tests and `make bench` start, not modules with doctests.
collect_ignore_glob = [
    "bench/*",
    "deploy/azure_ml_loaders.py",
    "training/search/drive.py",
    "training/search/offline/*",
]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# A third of what a short-lived Spark costs is its JVM's compiling: 87 s of cores for a job of 20 pictures, so 57.
_LIVES_SHORT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
os.environ.setdefault("JAVA_TOOL_OPTIONS", _LIVES_SHORT)

# To generate and compile Java for each new query costs more than tables of twenty rows: maintenance's tests took
# 180 s, so 146. Jobs in processes of their own run as they do for users.
_FOR_FEW_ROWS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
}


@pytest.fixture(scope="session")
def data_pack() -> Path:
    """Give the folder of real data beside the checkout, or skip."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data pack is not beside this checkout: ../shared/data")
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """Give the one session of this process: two cores, four attempts, Delta."""
    from detector.session import open_session

    warehouse = tmp_path_factory.mktemp("warehouse")
    with pytest.MonkeyPatch.context() as patch:
        if os.environ["JAVA_TOOL_OPTIONS"] == _LIVES_SHORT:  # this one lives long
            patch.delenv("JAVA_TOOL_OPTIONS")
        session = open_session(
            "tests", master="local[2,4]", conf=_FOR_FEW_ROWS | {"spark.sql.warehouse.dir": str(warehouse)}
        )
    yield session
    session.stop()
