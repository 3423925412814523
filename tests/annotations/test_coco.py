"""COCO documents: in pycocotools, and out of other people's hands."""

import json
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from detector.annotations.coco import read_coco, write_coco
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.reading import read_dataset
from detector.errors import SettingsError


@pytest.fixture
def write_document(tmp_path):
    """Write a COCO document beside two pictures; give the folder."""

    def write(annotations=(), images=None, categories=None, name="coco.json"):
        for image in ("a.jpg", "sub/b.jpg"):
            (tmp_path / image).parent.mkdir(exist_ok=True)
            Image.new("RGB", (64, 48)).save(tmp_path / image)
        document = {
            "images": images or [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}],
            "annotations": list(annotations),
            "categories": categories or [{"id": 90, "name": "toothbrush"}],
        }
        (tmp_path / name).write_text(json.dumps(document))
        return tmp_path

    return write


@pytest.mark.data
@pytest.mark.parametrize("name", ["raccoon", "bccd_trainval", "coco128_train32"])
def test_pycocotools_loads_what_is_written(data_pack, tmp_path, name, capsys):
    """The same pictures, boxes and names by its own index."""
    dataset, _ = read_dataset(data_pack / "datasets" / name)
    assert [loss for loss in write_coco(dataset, tmp_path) if "verified" not in loss.what] == []
    coco = COCO(str(tmp_path / "annotations.json"))
    capsys.readouterr()
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    assert sorted(names) == list(range(1, len(dataset.labels()) + 1))
    for image, annotation in zip(coco.loadImgs(coco.getImgIds()), dataset.annotations, strict=True):
        assert image["file_name"] == annotation.image.as_posix()
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert [names[entry["category_id"]] for entry in found] == [box.label for box in annotation.boxes]
        assert [entry["area"] for entry in found] == [box.area_px for box in annotation.boxes]


def test_boxes_are_corner_and_size(write_document):
    """(10, 20, 30, 5) is the box from (10, 20) to (40, 25); a crowd counts as difficult."""
    entries = [{"image_id": 7, "category_id": 90, "bbox": [10, 20, 30, 5], "iscrowd": n} for n in (0, 1)]
    dataset, problems = read_coco(write_document(entries))
    boxes = tuple(Box("toothbrush", (10, 20, 40, 25), difficult=n) for n in (False, True))
    assert problems == []
    assert dataset.annotations == (
        Annotation(Path("a.jpg"), Path("coco.json"), 64, 48, boxes),
        Annotation(Path("sub/b.jpg"), None, None, None, ()),
    )


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"image_id": 7, "category_id": 90, "bbox": [1, 2, 3]}, "coco-no-box"),
        ({"image_id": 7, "category_id": 90, "segmentation": [[1, 2, 3, 4]]}, "coco-no-box"),
        ({"image_id": 7, "category_id": 90, "bbox": [1, 2, float("nan"), 3]}, "coco-no-box"),
        ({"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}, "coco-category"),
        ({"image_id": 8, "category_id": 90, "bbox": [1, 2, 3, 4]}, "coco-image-id"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_one_problem(write_document, entry, code):
    """The picture stays, the others are read."""
    dataset, problems = read_coco(write_document([entry]))
    assert [(p.code, p.severity, p.file) for p in problems] == [(code, "error", "coco.json")]
    assert dataset.annotations[0].source == Path("coco.json")


@pytest.mark.parametrize(
    ("file_name", "found"),
    [
        ("sub/b.jpg", "sub/b.jpg"),
        ("b.jpg", "sub/b.jpg"),
        ("/home/ann/photos/b.jpg", "sub/b.jpg"),
        ("C:\\photos\\sub\\b.jpg", "sub/b.jpg"),
        ("../../../../etc/passwd", None),
        ("", None),
    ],
)
def test_a_name_only_selects_among_the_pictures_that_are_there(write_document, file_name, found):
    """It comes from another machine: the path that is most like it, and never one outside."""
    root = write_document(images=[{"id": 7, "file_name": file_name}])
    dataset, problems = read_coco(root)
    named = [a.image.as_posix() for a in dataset.annotations if a.source is not None]
    assert named == ([found] if found else [])
    assert [problem.code for problem in problems] == ([] if found else ["image-missing"])


def test_a_name_that_two_pictures_have_equally_is_a_problem(write_document):
    """x.jpg may be one/x.jpg or two/x.jpg; two/x.jpg is only one of them."""
    root = write_document(images=[{"id": 1, "file_name": "x.jpg"}, {"id": 2, "file_name": "there/two/x.jpg"}])
    for folder in ("one", "two"):
        (root / folder).mkdir()
        Image.new("RGB", (8, 8)).save(root / folder / "x.jpg")
    dataset, problems = read_coco(root)
    assert [problem.code for problem in problems] == ["several-images"]
    assert [a.image.as_posix() for a in dataset.annotations if a.source] == ["two/x.jpg"]


def test_several_documents_are_one_data_set(write_document):
    """A picture that both name keeps the first one's boxes, and the other is reported; other JSON is not."""
    write_document(name="1.json")
    root = write_document(name="2.json", images=[{"id": 1, "file_name": n} for n in ("a.jpg", "sub/b.jpg")])
    (root / "package.json").write_text("{}")
    dataset, problems = read_coco(root)
    assert [a.source.name for a in dataset.annotations] == ["1.json", "2.json"]
    assert [(p.code, p.file) for p in problems] == [("several-annotations", "2.json")]


def test_broken_json_is_a_problem_with_its_line(tmp_path):
    """And no document at all is a wrong setting."""
    (tmp_path / "coco.json").write_text('{"images":\n [}')
    assert [(p.code, p.line) for p in read_coco(tmp_path)[1]] == [("json-broken", 2)]
    (tmp_path / "coco.json").write_text("[]")
    with pytest.raises(SettingsError, match="no COCO document"):
        read_coco(tmp_path)


def test_a_document_elsewhere_can_be_given(write_document, tmp_path_factory):
    """Its pictures are still those below the root."""
    root = write_document()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.json"
    (root / "coco.json").rename(elsewhere)
    dataset, problems = read_coco(root, images="sub/..", annotations=elsewhere)
    assert problems == []
    assert dataset.annotations[0].source == elsewhere


def test_marks_survive_in_keys_of_their_own(tmp_path):
    """Where pycocotools looks away."""
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    box = Box("cat", (1, 2, 3.5, 4), difficult=True, occluded=True, pose="Left")
    annotation = Annotation(Path("a.jpg"), Path("annotations.json"), 64, 48, (box,), verified=True)
    assert write_coco(Dataset(tmp_path, (annotation,)), tmp_path / "out") == []
    dataset, _ = read_coco(tmp_path, annotations="out")
    assert dataset.annotations[0].boxes == (box,)
    assert dataset.annotations[0].verified
