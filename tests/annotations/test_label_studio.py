"""Label Studio's tasks against the shape that its documentation gives."""

import json
from pathlib import Path

import jsonschema
import pytest
from lxml import etree

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.label_studio import CONFIG_NAME, FILE_NAME, read_label_studio, write_label_studio
from detector.annotations.reading import read_dataset
from detector.annotations.writing import WriteOptions

PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
# https://labelstud.io/guide/task_format, https://labelstud.io/tags/rectanglelabels
TASKS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data", "annotations"],
        "properties": {
            "data": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "minLength": 1}},
            },
            "annotations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["result"],
                    "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/region"}}},
                },
            },
        },
    },
    "$defs": {
        "region": {
            "type": "object",
            "required": ["id", "type", "from_name", "to_name", "value", "original_width", "original_height"],
            "properties": {
                "type": {"const": "rectanglelabels"},
                "original_width": {"type": "integer", "minimum": 1},
                "original_height": {"type": "integer", "minimum": 1},
                "image_rotation": {"type": "number"},
                "value": {
                    "type": "object",
                    "required": ["x", "y", "width", "height", "rectanglelabels"],
                    "properties": {
                        **dict.fromkeys(("x", "y", "width", "height"), PERCENT),
                        "rotation": {"type": "number", "minimum": 0, "maximum": 360},
                        "rectanglelabels": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                    },
                },
            },
        }
    },
}


def make_region(**changes):
    """Make a region of 10 % from the left, 20 % from the top, 30 % wide, 40 % high of 200 x 100 pixels."""
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["cat"]}
    region = {"type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": value}
    return (
        region
        | {key: changes[key] for key in changes if key in region or key == "image_rotation"}
        | ({"value": value | changes} if changes.keys() & value.keys() else {})
    )


@pytest.fixture
def write_tasks(tmp_path):
    """Write an export of tasks beside an empty picture; give the folder."""

    def write(*tasks):
        (tmp_path / "a b.jpg").write_bytes(b"")
        (tmp_path / "export.json").write_text(json.dumps(tasks))
        return tmp_path

    return write


@pytest.mark.data
@pytest.mark.parametrize("name", ["raccoon", "coco128_train32"])
def test_what_is_written_has_the_documented_shape(data_pack, tmp_path, name):
    """And the configuration beside it knows each class, under the names that the regions use."""
    dataset, _ = read_dataset(data_pack / "datasets" / name)
    write_label_studio(dataset, tmp_path)
    tasks = json.loads((tmp_path / FILE_NAME).read_text())
    jsonschema.validate(tasks, TASKS)
    config = etree.parse(tmp_path / CONFIG_NAME)
    assert (
        tuple(config.xpath("//RectangleLabels[@name='label'][@toName='image']/Label/@value"))
        == dataset.labels()
    )
    assert config.xpath("//Image[@name='image'][@value='$image']")
    results = [region for task in tasks for region in task["annotations"][0]["result"]]
    assert {(region["from_name"], region["to_name"]) for region in results} == {("label", "image")}
    assert len(results) == sum(dataset.count_boxes().values())


@pytest.mark.parametrize(
    "uri",
    ["/data/local-files/?d=photos/a%20b.jpg", "https://example.org/x/a%20b.jpg?sig=1", "gs://b/a b.jpg"],
)
def test_percent_become_pixels_and_uris_become_pictures(write_tasks, uri):
    """Local files storage, a web address, a bucket."""
    root = write_tasks({"data": {"image": uri}, "annotations": [{"result": [make_region()]}]})
    dataset, problems = read_label_studio(root)
    assert problems == []
    box = Box("cat", (20, 20, 80, 60))
    assert dataset.annotations == (Annotation(Path("a b.jpg"), Path("export.json"), 200, 100, (box,)),)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rotation": 30}, "label-studio-turned"),
        ({"image_rotation": 90}, "label-studio-turned"),
        ({"type": "polygonlabels"}, "label-studio-region"),
        ({"rectanglelabels": []}, "label-studio-no-box"),
        ({"width": None}, "label-studio-no-box"),
        ({"original_width": None}, "label-studio-no-box"),
    ],
)
def test_regions_that_are_no_upright_rectangles_are_problems(write_tasks, changes, code):
    """Each by name; the other regions are read."""
    results = [make_region(**changes), make_region()]
    root = write_tasks({"data": {"image": "a b.jpg"}, "annotations": [{"result": results}]})
    dataset, problems = read_label_studio(root)
    assert [problem.code for problem in problems] == [code]
    assert len(dataset.annotations[0].boxes) == 1


def test_the_last_annotation_that_was_not_cancelled_counts(write_tasks):
    """Several people may have annotated one task; a model's prediction is nobody's annotation."""
    annotations = [{"result": []}, {"result": [make_region()]}, {"result": [], "was_cancelled": True}]
    root = write_tasks({"data": {"image": "a b.jpg"}, "annotations": annotations})
    dataset, problems = read_label_studio(root)
    assert len(dataset.annotations[0].boxes) == 1
    assert [(p.code, p.severity) for p in problems] == [("label-studio-several", "note")]
    write_tasks(
        {"data": {"image": "a b.jpg"}, "annotations": [], "predictions": [{"result": [make_region()]}]}
    )
    assert read_label_studio(root)[0].annotations[0].source is None


def test_the_prefix_goes_before_each_path(tmp_path):
    """For pictures in a bucket or on a web server."""
    annotation = Annotation(Path("x/a.jpg"), Path("a.xml"), 200, 100, ())
    options = WriteOptions(uri_prefix="s3://bucket/")
    write_label_studio(Dataset(tmp_path, (annotation,)), tmp_path / "out", options)
    assert json.loads((tmp_path / "out" / FILE_NAME).read_text())[0]["data"]["image"] == "s3://bucket/x/a.jpg"
