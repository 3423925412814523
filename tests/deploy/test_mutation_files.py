"""conf/mutation: the modules that are mutated and the tests that must find it are there, under these names."""

import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILES = sorted((PROJECT / "conf" / "mutation").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_modules_and_tests_exist(file):
    """A renamed one would leave nothing to mutate, or nothing that can fail."""
    settings = tomllib.loads(file.read_text(encoding="utf-8"))["cosmic-ray"]
    tests = [word for word in settings["test-command"].split() if word.startswith("tests/")]
    assert tests
    assert [name for name in [*settings["module-path"], *tests] if not (PROJECT / name).exists()] == []


def test_make_knows_them():
    """Each file is one of the parts that `make mutation` goes through."""
    line = next(
        line for line in (PROJECT / "Makefile").read_text().splitlines() if line.startswith("MUTATED")
    )
    assert sorted(line.partition(":=")[2].split()) == [file.stem for file in FILES]
