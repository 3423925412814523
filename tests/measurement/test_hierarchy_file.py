"""Hierarchies of classes from files: Open Images' own form and a plain one."""

import json

import pytest

from detector.errors import SettingsError
from detector.measurement.hierarchy_file import read_parents

IDS = {"helmet": 1, "football helmet": 2, "clothing": 3}
NESTED = {
    "LabelName": "entity",
    "Subcategory": [
        {
            "LabelName": "clothing",
            "Subcategory": [{"LabelName": "hat", "Subcategory": [{"LabelName": "helmet"}]}],
            "Part": [{"LabelName": "football helmet"}],
        },
        {"LabelName": "helmet", "Subcategory": [{"LabelName": "football helmet"}]},
    ],
}


@pytest.fixture
def write(tmp_path):
    """Give a writer of JSON to a file."""

    def write_json(content):
        path = tmp_path / "hierarchy.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write_json


def test_open_images_form(write):
    """Right above: a class that the model doesn't know is passed over, a part is no kind."""
    assert read_parents(write(NESTED), IDS) == {1: [3], 2: [1]}


def test_plain_form(write):
    """A class and those above it."""
    plain = {"football helmet": ["helmet", "ball"], "ball": ["clothing"]}
    assert read_parents(write(plain), IDS) == {2: [1, 3]}


@pytest.mark.parametrize(
    "content", ["{", "[1]", {"helmet": "clothing"}, {"LabelName": "a", "Subcategory": [1]}]
)
def test_other_files_are_refused(write, content):
    """By name, with what was expected."""
    with pytest.raises(SettingsError, match=r"hierarchy .*hierarchy\.json: .*expected Open Images"):
        read_parents(write(content), IDS)


def test_a_hierarchy_of_other_names_is_refused(write):
    """It would silently change nothing."""
    with pytest.raises(SettingsError, match="none of its classes"):
        read_parents(write({"/m/1": ["/m/2"]}), IDS)


def test_unknown_classes_in_a_circle_end(write):
    """They stand above each other and above nothing that is known."""
    assert read_parents(write({"helmet": ["x"], "x": ["y", "clothing"], "y": ["x"]}), IDS) == {1: [3]}
