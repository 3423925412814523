"""Label maps of every format, and what is refused in them."""

import json

import pytest

from detector.errors import LabelMapError
from detector.labels import LabelMap, read_label_map


def write(tmp_path, name, text):
    """Write a label map file."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.pbtxt", 'item { id: 1 name: "/m/01" display_name: "cat" }\nitem { id: 3 name: "dog" }'),
        (
            "map.pbtxt",
            "item: {\n name: 'cat', id: 1\n keypoints { id: 9 label: 'x' } }\nitem { id: 3 name: 'dog' }",
        ),
        ("map.json", json.dumps({"1": "cat", "3": "dog"})),
        ("map.json", json.dumps([{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}])),
        (
            "map.json",
            json.dumps({"images": [], "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]}),
        ),
        ("classes.txt", "\ufeffcat\n\n dog \n"),
    ],
)
def test_every_format_gives_the_same_names(tmp_path, name, text):
    """Ids with gaps keep their numbers; display_name comes before name; unknown fields are passed over."""
    assert read_label_map(write(tmp_path, name, text)).names == {1: "cat", 3: "dog"}


def test_a_json_list_begins_at_one(tmp_path):
    """A plain list of names counts as classes.txt does."""
    assert read_label_map(write(tmp_path, "map.json", '["cat", "dog"]')).names == {1: "cat", 2: "dog"}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("map.pbtxt", 'item { id: 1 name: "a" }\nitem { id: 1 name: "b" }', "given twice"),
        ("map.pbtxt", 'item { id: 0 name: "a" }', "below 1"),
        ("map.pbtxt", "item { id: 1 name: ", "map.pbtxt"),
        ("map.json", "{", "map.json"),
        ("map.json", "3", "found int"),
        ("map.json", '{"1": 2}', "no text"),
        ("classes.txt", "\n\n", "no entry"),
        ("classes.csv", "cat", "unknown extension"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, name, text, reason):
    """The message names the file and what is wrong in it."""
    with pytest.raises(LabelMapError, match=reason) as caught:
        read_label_map(write(tmp_path, name, text))
    assert name in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    """A label map that isn't there is a setting's fault."""
    with pytest.raises(LabelMapError, match=r"none\.txt"):
        read_label_map(tmp_path / "none.txt")


def test_the_digest_is_of_the_names_not_the_file():
    """The same names in another order are the same label map; one changed name is another."""
    assert LabelMap({1: "a", 2: "b"}).digest() == LabelMap({2: "b", 1: "a"}).digest()
    assert LabelMap({1: "a"}).digest() != LabelMap({1: "b"}).digest()


@pytest.mark.data
def test_the_coco_map_has_gaps(data_pack):
    """80 classes with ids up to 90, shown by display_name."""
    names = read_label_map(data_pack / "models" / "yolo_fastest_xl_coco" / "label_map.pbtxt").names
    assert (len(names), names[1], names[90], 12 in names) == (80, "person", "toothbrush", False)
