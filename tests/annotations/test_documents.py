"""Documents of strangers: whatever stands in place of each value, readers report and raise nothing else."""

import copy
import json
from contextlib import suppress

import pytest
from PIL import Image

from detector.annotations.reading import read_dataset
from detector.errors import SettingsError

_VALUE = {"x": 1, "y": 1, "width": 1, "height": 1, "rotation": 0, "rectanglelabels": ["cat"]}
_REGION = {"type": "rectanglelabels", "original_width": 2, "original_height": 2, "value": _VALUE}
_COCO_BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "attributes": {"pose": "Left"}}
_EDGES = {"xMin": 0, "yMin": 0, "xMax": 1, "yMax": 1}
DOCUMENTS = {
    "coco": {
        "images": [{"id": 1, "file_name": "a.png", "width": 2, "height": 2}],
        "annotations": [_COCO_BOX],
        "categories": [{"id": 1, "name": "cat"}],
    },
    "createml": [
        {
            "image": "a.png",
            "annotations": [{"label": "cat", "coordinates": {k: _VALUE[k] for k in list(_VALUE)[:4]}}],
        }
    ],
    "label-studio": [
        {"data": {"image": "a.png"}, "annotations": [{"result": [_REGION], "was_cancelled": False}]}
    ],
    "automl-jsonl": [
        {"imageGcsUri": "gs://b/a.png", "boundingBoxAnnotations": [{"displayName": "cat", **_EDGES}]}
    ],
}
STRANGE = [
    None, True, 3, -1, 1.5, float("nan"), float("inf"), 10**400, "", " ", "\ud800", "http://[", "../a.png", [], [[]],
    [3], {}, {"x": {}},
]  # fmt: skip


def list_places(value, place=()):
    """List the way to every value of a document, the document itself first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, part in inner for found in list_places(part, (*place, key)))]


def replace_value(document, place, strange):
    """Copy a document with another value in one place."""
    if not place:
        return strange
    changed = copy.deepcopy(document)
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = strange
    return changed


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_value_in_any_place_raises_anything_but_a_wrong_setting(tmp_path, name):
    """Numbers where lists belong, lists where names belong, no numbers at all; whatever is read has its type."""
    Image.new("1", (2, 2)).save(tmp_path / "a.png")
    file = tmp_path / ("x.jsonl" if name == "automl-jsonl" else "x.json")
    for place in list_places(DOCUMENTS[name]):
        for strange in STRANGE:
            document = replace_value(DOCUMENTS[name], place, strange)
            lines = document if name == "automl-jsonl" and isinstance(document, list) else [document]
            file.write_text("\n".join(map(json.dumps, lines)))
            with suppress(SettingsError):
                dataset, problems = read_dataset(tmp_path, format=name)
                assert len(dataset.annotations) == 1
                assert all(problem.file == file.name for problem in problems)
                assert all(isinstance(box.label, str) and box.label for box in dataset.annotations[0].boxes)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_themselves_are_good(tmp_path, name):
    """One box, no problem: else the test above would test nothing."""
    Image.new("1", (2, 2)).save(tmp_path / "a.png")
    document = DOCUMENTS[name][0] if name == "automl-jsonl" else DOCUMENTS[name]
    (tmp_path / ("x.jsonl" if name == "automl-jsonl" else "x.json")).write_text(json.dumps(document))
    dataset, problems = read_dataset(tmp_path, format=name)
    assert ([box.label for box in dataset.annotations[0].boxes], problems) == (["cat"], [])
