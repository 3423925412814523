"""Versions known to be safe: what is installed, and what the lock would install, lie above each floor."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[1]
FLOORS = {  # and what is wrong below
    "lxml": "6.1",  # entities and external files
    "opencv-python-headless": "4.12",  # a corrupt picture shows the one before it
    "keras": "3.13.2",  # unsafe deserialisation, files outside named by HDF5
}


@pytest.mark.parametrize("package", FLOORS)
def test_installed_and_locked_versions_are_above_the_floor(package):
    """The environment, uv.lock, and the requirement of pyproject.toml, which refuses any older one."""
    floor = Version(FLOORS[package])
    lock = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))
    locked = [Version(each["version"]) for each in lock["package"] if each["name"] == package]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [wanted] = [r for r in map(Requirement, project["dependencies"]) if r.name == package]
    assert Version(version(package)) >= floor
    assert locked
    assert min(locked) >= floor
    assert floor in wanted.specifier
    assert not wanted.specifier.contains(f"{floor.major - 1}.99.99")
