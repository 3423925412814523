"""Folders of Pascal VOC: read, written, opened by labelImg's own code."""

from collections import Counter
from pathlib import Path

import pytest
from libs.pascal_voc_io import PascalVocReader, PascalVocWriter
from PIL import Image

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.reading import read_dataset
from detector.annotations.voc import read_voc, write_voc
from detector.annotations.writing import WriteOptions

REAL_SETS = {
    "raccoon": (200, {"raccoon": 217}),
    "bccd_trainval": (292, {"RBC": 3350, "WBC": 301, "Platelets": 292}),
    "coco128_train32": (32, None),
}


@pytest.fixture
def dataset(tmp_path):
    """Make two pictures in a folder and a data set of them: no XML was there yet."""
    for name in ("a.jpg", "images/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    boxes = (Box("cat", (0, 1, 64, 48), difficult=True), Box("black dog", (3.25, 4, 30, 40), truncated=True))
    return Dataset(
        tmp_path,
        (
            Annotation(Path("a.jpg"), Path("a.xml"), 64, 48, boxes, verified=True),
            Annotation(Path("images/b.png"), Path("b.xml"), None, None, ()),
        ),
    )


@pytest.mark.data
@pytest.mark.parametrize("name", REAL_SETS)
def test_the_real_sets_have_the_counts_that_are_known(data_pack, name):
    """And no problem is invented; bccd's two boxes without area are read as such."""
    dataset, problems = read_dataset(data_pack / "datasets" / name)
    images, counts = REAL_SETS[name]
    assert problems == []
    assert len([a for a in dataset.annotations if a.image and a.source]) == images == len(dataset.annotations)
    assert counts is None or dataset.count_boxes() == counts
    written = sum(xml.read_text().count("<object>") for xml in (data_pack / "datasets" / name).rglob("*.xml"))
    assert sum(dataset.count_boxes().values()) == written
    flat = [box for a in dataset.annotations for box in a.boxes if box.area_px == 0]
    assert len(flat) == (2 if name == "bccd_trainval" else 0)


def test_labelimg_opens_what_is_written(dataset, tmp_path):
    """Its own reader, from PyPI, finds the boxes, the names, difficult and verified."""
    assert write_voc(dataset, tmp_path / "out") == []
    reader = PascalVocReader(str(tmp_path / "out" / "annotations" / "a.xml"))
    found = [
        (label, points[0], points[2], difficult) for label, points, _, _, difficult in reader.get_shapes()
    ]
    assert found == [("cat", (0, 1), (64, 48), True), ("black dog", (3, 4), (30, 40), False)]
    assert reader.verified


def test_what_labelimg_writes_is_read(tmp_path):
    """Its own writer, from PyPI: edges as they stand, truncated where a box touches the border."""
    writer = PascalVocWriter("photos", "a.jpg", (48, 64, 3), local_img_path="C:\\photos\\a.jpg")
    writer.verified = True
    writer.add_bnd_box(1, 5, 64, 48, "Käse", 1)
    writer.save(str(tmp_path / "a.xml"))
    (tmp_path / "a.jpg").write_bytes(b"")
    dataset, problems = read_voc(tmp_path)
    box = Box("Käse", (1, 5, 64, 48), difficult=True, truncated=True, line=14)
    assert dataset.annotations == (Annotation(Path("a.jpg"), Path("a.xml"), 64, 48, (box,), verified=True),)
    assert problems == []


@pytest.mark.data
@pytest.mark.parametrize("name", REAL_SETS)
def test_labelimg_reads_the_same_from_ours_as_from_the_real_files(data_pack, tmp_path, name):
    """Every shape of every file of the real sets."""
    dataset, _ = read_voc(data_pack / "datasets" / name)
    write_voc(dataset, tmp_path)
    for annotation in dataset.annotations:
        ours = PascalVocReader(str(tmp_path / "annotations" / annotation.source.name))
        theirs = PascalVocReader(str(dataset.root / annotation.source))
        assert (ours.get_shapes(), ours.verified) == (theirs.get_shapes(), theirs.verified)


def test_a_copy_reads_as_the_original_did(dataset, tmp_path):
    """Pictures in images/, XML in annotations/, sizes from the pictures where none were declared."""
    write_voc(dataset, tmp_path / "out", WriteOptions(pictures="copy"))
    copied, problems = read_voc(tmp_path / "out")
    assert problems == []
    assert [(a.image.as_posix(), a.width_px, len(a.boxes), a.verified) for a in copied.annotations] == [
        ("images/a.jpg", 64, 2, True),
        ("images/b.png", 64, 0, False),
    ]


def test_a_file_that_is_refused_is_no_background(tmp_path):
    """Its picture is left out: training must not learn that nothing is in it."""
    for stem in ("broken", "huge", "good", "empty"):
        (tmp_path / f"{stem}.jpg").write_bytes(b"")
        (tmp_path / f"{stem}.xml").write_text("<annotation/>")
    (tmp_path / "broken.xml").write_text("<annotation>")
    (tmp_path / "huge.xml").write_bytes(b"<annotation>" + b" " * 16_000_000)
    (tmp_path / "empty.xml").unlink()
    dataset, problems = read_voc(tmp_path)
    assert [(a.image.stem, a.source is None) for a in dataset.annotations] == [
        ("empty", True),
        ("good", False),
    ]
    assert [(p.code, p.file) for p in problems] == [
        ("xml-broken", "broken.xml"),
        ("xml-too-large", "huge.xml"),
    ]


def test_an_xml_cannot_name_its_picture(tmp_path):
    """Filename, folder and path lead nowhere, also to files that are there."""
    (tmp_path / "other.jpg").write_bytes(b"")
    text = "<annotation><filename>other.jpg</filename><path>../x.jpg</path></annotation>"
    (tmp_path / "a.xml").write_text(text)
    dataset, _ = read_voc(tmp_path)
    assert [(a.image, a.source) for a in dataset.annotations] == [
        (None, Path("a.xml")),
        (Path("other.jpg"), None),
    ]


def test_processes_give_what_one_process_gives(tmp_path):
    """In the same order, with the problems, the progress at the end."""
    for number in range(1_200):
        name = "broken" if number % 100 == 0 else "annotation"
        (tmp_path / f"{number}.xml").write_text(f"<{name}><object><name>{number}</name></object></{name}>")
    calls = []
    alone = read_voc(tmp_path, workers=1)
    shared = read_voc(tmp_path, workers=2, progress=lambda done, total: calls.append((done, total)))
    assert alone == shared
    assert Counter(problem.code for problem in shared[1]) == {"voc-no-box": 1_188, "voc-no-annotation": 12}
    assert calls[-1] == (1_200, 1_200)
