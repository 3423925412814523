"""Fixtures that every test may ask for."""

import os
from pathlib import Path

import pytest

# Programs that tests and `make bench` start, not modules with doctests.
collect_ignore_glob = [
    "bench/*",
    "deploy/azure_ml_loaders.py",
    "training/search/drive.py",
    "training/search/offline/*",
]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that use the session go to one process, whose JVM warms up; those that start JVMs begin at once beside it."""
    warm = {item.path for item in items if "spark" in getattr(item, "fixturenames", ())}
    own = {
        item.path for item in items if item.get_closest_marker("spark") or item.get_closest_marker("cluster")
    }
    for item in items:
        item.add_marker(pytest.mark.xdist_group("spark" if item.path in warm else str(item.path)))
    items.sort(key=lambda item: 0 if item.path in warm else 1 if item.path in own else 2)


@pytest.fixture(scope="session")
def data_pack() -> Path:
    """Give the folder of real data beside the checkout, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
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
