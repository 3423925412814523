"""Create ML documents: boxes about their centre, in two spellings."""

import json
from pathlib import Path

import pytest
from libs.create_ml_io import CreateMLReader

from detector.annotations.createml import FILE_NAME, read_createml, write_createml
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.errors import SettingsError

OBJECT = {"label": "cat", "coordinates": {"x": 20, "y": 30.5, "width": 10, "height": 5}}


@pytest.fixture
def write_document(tmp_path):
    """Write a document beside an empty picture; give the folder."""

    def write(document):
        (tmp_path / "a.jpg").write_bytes(b"")
        (tmp_path / "createml.json").write_text(json.dumps(document))
        return tmp_path

    return write


@pytest.mark.parametrize(("image", "objects"), [("image", "annotations"), ("imagefilename", "annotation")])
def test_both_spellings_are_read(write_document, image, objects):
    """LabelImg's and that of Apple's documentation; x and y are the centre."""
    dataset, problems = read_createml(write_document([{image: "a.jpg", objects: [OBJECT]}]))
    assert problems == []
    assert dataset.annotations[0].boxes == (Box("cat", (15, 28, 25, 33)),)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"image": "a.jpg", "annotations": [{"label": "cat"}]}, "createml-no-box"),
        ({"image": "a.jpg", "annotations": [OBJECT | {"label": ""}]}, "createml-no-box"),
        ({"image": "a.jpg", "annotations": ["cat"]}, "createml-no-box"),
        ({"image": "b.jpg", "annotations": []}, "image-missing"),
        ({"annotations": []}, "createml-entry"),
        ({"image": "a.jpg"}, "createml-entry"),
        (3, "createml-entry"),
    ],
)
def test_entries_that_cannot_be_used_are_problems(write_document, entry, code):
    """Each one by name, and nothing raised."""
    _, problems = read_createml(write_document([entry, {"image": "a.jpg", "annotations": []}]))
    assert code in [problem.code for problem in problems]


def test_no_document_is_a_wrong_setting(write_document):
    """COCO's object is no list of images."""
    with pytest.raises(SettingsError, match="no Create ML document"):
        read_createml(write_document({"images": []}))


def test_labelimg_opens_what_is_written(tmp_path):
    """Its own reader, from PyPI, finds the corners."""
    annotation = Annotation(Path("a.jpg"), Path("a.xml"), 64, 48, (Box("cat", (15, 28, 25, 33)),))
    write_createml(Dataset(tmp_path, (annotation,)), tmp_path / "out")
    reader = CreateMLReader(str(tmp_path / "out" / FILE_NAME), "a.jpg")
    assert [(shape[0], shape[1][0], shape[1][2]) for shape in reader.get_shapes()] == [
        ("cat", (15, 28), (25, 33))
    ]
