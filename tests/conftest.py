"""Fixtures that every test may ask for."""

import os
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

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
# Most of what a short-lived Spark costs is its JVM's compiling: 87 s of cores for a job of 20 pictures, so 57.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


class OneWarmSession(LoadFileScheduling):
    """Give whole files to processes, and all that use the session to one of them, whose JVM warms up."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "session" if "pytest.mark.spark" in (PROJECT / file).read_text(encoding="utf-8") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneWarmSession:
    """Schedule so; with --no-loadscope-reorder."""
    return OneWarmSession(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the session's files, beside them those that start Spark themselves."""
    order = ("spark", "own_spark")
    ranks = {item.path: len(order) for item in items}
    for item in items:
        marked = [rank for rank, name in enumerate(order) if item.get_closest_marker(name)]
        ranks[item.path] = min(ranks[item.path], *marked, len(order))
    items.sort(key=lambda item: ranks[item.path])


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
    session = open_session("tests", master="local[2,4]", conf={"spark.sql.warehouse.dir": str(warehouse)})
    yield session
    session.stop()
