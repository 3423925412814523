"""Vertex AI's import file against its published schema."""

import json
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from detector.annotations.automl_jsonl import FILE_NAME, read_automl_jsonl, write_automl_jsonl
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.reading import read_dataset
from detector.annotations.writing import WriteOptions
from detector.errors import SettingsError

FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
# Schema ImageBoundingBox of https://cloud.google.com/vertex-ai/docs/image-data/object-detection/prepare-data,
# and the limits of the same page.
LINE = {
    "type": "object",
    "required": ["imageGcsUri"],
    "additionalProperties": False,
    "properties": {
        "imageGcsUri": {"type": "string", "pattern": r"^gs://[^/]+/.+"},
        "boundingBoxAnnotations": {
            "type": "array",
            "maxItems": 500,
            "items": {
                "type": "object",
                "required": ["displayName", "xMin", "yMin", "xMax", "yMax"],
                "additionalProperties": False,
                "properties": {
                    "displayName": {"type": "string", "minLength": 1},
                    **dict.fromkeys(("xMin", "yMin", "xMax", "yMax"), FRACTION),
                    "annotationResourceLabels": {"type": "object"},
                },
            },
        },
        "dataItemResourceLabels": {"type": "object"},
    },
}
BUCKET = WriteOptions(uri_prefix="gs://bucket/photos/")


@pytest.mark.data
@pytest.mark.parametrize("name", ["raccoon", "bccd_trainval", "coco128_train32"])
def test_what_is_written_has_the_published_shape(data_pack, tmp_path, name):
    """One object a line, fractions between 0 and 1."""
    dataset, _ = read_dataset(data_pack / "datasets" / name)
    write_automl_jsonl(dataset, tmp_path, BUCKET)
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert len(lines) == len(dataset.annotations)
    for line in lines:
        jsonschema.validate(line, LINE)
    assert lines[0]["imageGcsUri"] == f"gs://bucket/photos/{dataset.annotations[0].image.as_posix()}"


def test_boxes_beyond_vertex_ais_limit_are_lost_and_counted(tmp_path):
    """500 a picture."""
    boxes = tuple(Box("cat", (n, 0, n + 1, 1)) for n in range(502))
    dataset = Dataset(tmp_path, (Annotation(Path("a.jpg"), Path("a.xml"), 600, 10, boxes),))
    losses = write_automl_jsonl(dataset, tmp_path / "out", BUCKET)
    assert [(loss.what, loss.count) for loss in losses] == [("the whole", 2)]
    jsonschema.validate(json.loads((tmp_path / "out" / FILE_NAME).read_text()), LINE)


@pytest.mark.parametrize("prefix", ["", "s3://bucket/", "/data/"])
def test_without_a_bucket_nothing_is_written(tmp_path, prefix):
    """The message says what to set."""
    with pytest.raises(SettingsError, match="--uri_prefix gs://"):
        write_automl_jsonl(Dataset(tmp_path, ()), tmp_path / "out", WriteOptions(uri_prefix=prefix))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ('{"imageGcsUri": "gs://b/x/a.jpg"}', []),
        (
            '{"imageGcsUri": "gs://b/a.jpg", "boundingBoxAnnotations": [{"displayName": "cat"}]}',
            ["automl-no-box"],
        ),
        ('{"imageGcsUri": "gs://b/b.jpg"}', ["image-missing"]),
        ('{"imageGcsUri": "gs://b/bad.jpg"}', ["image-unreadable"]),
        ('{"imageGcsUri": 3}', ["automl-line"]),
        ("[]", ["automl-line"]),
        ("{", ["automl-line"]),
    ],
)
def test_lines_that_cannot_be_used_are_problems_with_their_number(tmp_path, line, codes):
    """Empty lines are none."""
    Image.new("RGB", (200, 100)).save(tmp_path / "a.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "import.jsonl").write_text(f"\n{line}\n")
    _, problems = read_automl_jsonl(tmp_path)
    assert [(p.code, p.line) for p in problems] == [(code, 2) for code in codes]


def test_fractions_become_pixels(tmp_path):
    """Numbers may be text, as in the documentation's own samples."""
    Image.new("RGB", (200, 100)).save(tmp_path / "a.jpg")
    box = {"displayName": "cat", "xMin": "0.1", "yMin": 0.2, "xMax": 0.5, "yMax": "1.0"}
    line = {"imageGcsUri": "gs://b/a.jpg", "boundingBoxAnnotations": [box]}
    (tmp_path / "import.jsonl").write_text(json.dumps(line))
    dataset, _ = read_automl_jsonl(tmp_path)
    assert dataset.annotations[0].boxes == (Box("cat", (20, 20, 100, 100), line=1),)
