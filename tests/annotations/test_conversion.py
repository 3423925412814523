"""Formats into each other: what survives, what is said to be lost, what is never touched."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.annotations.conversion import FORMATS, convert_dataset
from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.reading import read_dataset
from detector.annotations.writing import Loss, Target, WriteOptions
from detector.errors import SettingsError

SIZES_WH = [(640, 480), (1, 1), (33, 4001)]
COPIED = WriteOptions(pictures="copy", uri_prefix="gs://bucket/photos/")
LINKED = replace(COPIED, pictures="link")


def make_dataset(folder, boxes_of_pictures):
    """Write pictures of the sizes above, one after another, and annotate them with fractions of their sizes."""
    annotations = []
    for number, fractions in enumerate(boxes_of_pictures):
        width, height = SIZES_WH[number % len(SIZES_WH)]
        image = Path(f"photo #{number} 100%+&ä.png")
        Image.new("1", (width, height)).save(folder / image)
        boxes = tuple(
            Box(label, (x_min * width, y_min * height, x_max * width, y_max * height))
            for label, (x_min, x_max), (y_min, y_max) in fractions
        )
        annotations.append(Annotation(image, Path(f"{number}.xml"), width, height, boxes))
    return Dataset(folder, tuple(annotations))


def assert_equal_boxes(first, second, within_px):
    """Compare two data sets picture by picture: labels, and edges within so many pixels."""
    assert len(first.annotations) == len(second.annotations)
    for ours, theirs in zip(first.annotations, second.annotations, strict=True):
        assert ours.image.name == theirs.image.name
        assert [box.label for box in ours.boxes] == [box.label for box in theirs.boxes]
        edges = [np.array([box.xyxy_px for box in a.boxes]).reshape(-1, 4) for a in (ours, theirs)]
        assert np.abs(edges[0] - edges[1]).max(initial=0) <= within_px


side = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda ends: ends[1] - ends[0] > 0.01)
drawn_boxes = st.lists(st.tuples(st.sampled_from(["cat", "Käse", "a b"]), side, side), max_size=3)


@given(st.lists(drawn_boxes, min_size=1, max_size=4).filter(any))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_drawn_boxes_come_back_from_voc_coco_yolo_voc_within_a_pixel(boxes_of_pictures):
    """Each written, read again and written in the next format; much nearer than a pixel, in fact."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = first = make_dataset(folder, boxes_of_pictures)
        for number, to in enumerate(["voc", "coco", "yolo", "voc"]):
            convert_dataset(dataset, to, folder / str(number), LINKED)
            dataset, problems = read_dataset(folder / str(number), format=to)
            assert problems == []
        assert_equal_boxes(first, dataset, within_px=0.004)


@pytest.mark.data
@pytest.mark.parametrize("name", ["raccoon", "bccd_trainval", "coco128_train32"])
def test_the_real_sets_come_back_from_voc_coco_yolo_voc_exactly(data_pack, tmp_path, name):
    """Whole pixels stay whole; YOLO leaves out bccd's two boxes without area and says so."""
    dataset = first = read_dataset(data_pack / "datasets" / name)[0]
    losses = []
    for number, to in enumerate(["voc", "coco", "yolo", "voc"]):
        losses += convert_dataset(dataset, to, tmp_path / str(number), COPIED)
        dataset, problems = read_dataset(tmp_path / str(number), format=to)
        assert problems == []
    lost = [loss for loss in losses if loss.what == "the whole"]
    no_area = Loss("yolo", "the whole", 2, "boxes", "no area inside the picture")
    assert lost == ([no_area] if name == "bccd_trainval" else [])
    with_area = [
        replace(a, boxes=tuple(box for box in a.boxes if box.area_px > 0)) for a in first.annotations
    ]
    assert_equal_boxes(replace(first, annotations=tuple(with_area)), dataset, within_px=0)


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_gives_back_what_it_was_given(tmp_path, to):
    """Boxes within a hundredth of a pixel; a picture without objects stays one."""
    boxes = [("cat", (0, 1), (0.25, 0.5)), ("Käse", (0.1, 0.2), (0.3, 0.9))]
    dataset = make_dataset(tmp_path, [boxes, [], boxes[:1]])
    assert convert_dataset(dataset, to, tmp_path / "out", COPIED) == []
    root = tmp_path if to == "tfrecord" else tmp_path / "out"  # its pictures are inside the records
    read, problems = read_dataset(root, format=to, images=None if to != "tfrecord" else ".")
    assert problems == []
    assert_equal_boxes(dataset, read, within_px=0.01)
    assert all(annotation.source is not None for annotation in read.annotations)


KEPT = {
    "voc": {"difficult", "truncated", "occluded", "pose", "verified"},
    "coco": {"difficult", "truncated", "occluded", "pose", "verified"},
    "tfrecord": {"difficult", "truncated", "pose"},
}


@pytest.mark.parametrize("to", FORMATS)
def test_what_a_format_has_no_field_for_is_said_to_be_lost(tmp_path, to):
    """Exactly that which does not come back: each flag, the pose, the mark."""
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    box = Box("cat", (1, 2, 30, 40), difficult=True, truncated=True, occluded=True, pose="Left")
    dataset = Dataset(tmp_path, (Annotation(Path("a.png"), Path("a.xml"), 40, 40, (box,), verified=True),))
    losses = convert_dataset(dataset, to, tmp_path / "out", COPIED)
    root = tmp_path if to == "tfrecord" else tmp_path / "out"
    read = read_dataset(root, format=to)[0].annotations[0]
    kept = {name for name in ("difficult", "truncated", "occluded") if getattr(read.boxes[0], name)}
    kept |= {"pose"} if read.boxes[0].pose == "Left" else set()
    kept |= {"verified"} if read.verified else set()
    assert kept == KEPT.get(to, set())
    lines = {"pose": "poses of 1 box", "verified": "verified marks of 1 picture"}
    expected = {f"{to}: {lines.get(name, f'{name} flags of 1 box')}" for name in KEPT["voc"] - kept}
    assert set(map(str, losses)) == expected


def test_pictures_without_annotation_are_written_when_told_to(tmp_path):
    """Nobody said that they are empty; an XML without picture can't be written."""
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    alone = Annotation(Path("a.png"), None, None, None, ())
    dataset = Dataset(tmp_path, (alone, Annotation(None, Path("b.xml"), 1, 1, ())))
    losses = convert_dataset(dataset, "coco", tmp_path / "out")
    assert sorted(map(str, losses)) == [
        "coco: the whole of 1 annotation file (the picture is missing)",
        "coco: the whole of 1 picture (nobody annotated them)",
    ]
    losses = convert_dataset(dataset, "coco", tmp_path / "out", replace(COPIED, background=True))
    assert [loss.unit for loss in losses] == ["annotation files"]
    assert (tmp_path / "out" / "images" / "a.png").is_file()


def test_wanted_classes_give_the_order_and_the_rest_is_lost(tmp_path):
    """As a label map of an earlier model demands."""
    dataset = make_dataset(tmp_path, [[("cat", (0, 1), (0, 1)), ("a b", (0, 1), (0, 1))]])
    options = replace(COPIED, labels=("dog", "cat"))
    losses = convert_dataset(dataset, "yolo", tmp_path / "out", options)
    assert [str(loss) for loss in losses] == ["yolo: the whole of 1 box (the class is not wanted)"]
    assert (tmp_path / "out" / "labels" / "photo #0 100%+&ä.txt").read_text().startswith("1 0.5")
    assert (tmp_path / "out" / "classes.txt").read_text() == "dog\ncat\n"


def test_boxes_are_cut_to_the_picture_where_a_format_wants_fractions(tmp_path):
    """YOLO's trainer refuses a picture with a box outside; COCO keeps it as it is."""
    dataset = make_dataset(tmp_path, [[("cat", (-0.5, 0.5), (0, 1)), ("cat", (1.5, 2), (0, 1))]])
    losses = convert_dataset(dataset, "yolo", tmp_path / "out", COPIED)
    assert sorted(map(str, losses)) == [
        "yolo: parts outside the picture of 1 box",
        "yolo: the whole of 1 box (no area inside the picture)",
    ]
    assert convert_dataset(dataset, "coco", tmp_path / "coco", COPIED) == []


def test_names_are_made_unique_where_only_the_stem_counts(tmp_path):
    """Two pictures a, in two folders or of two kinds, would share one label file."""
    images = ["a.png", "images/a.png", "A.jpg", "x/images/a.png"]
    for image in images:
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / image)
    annotations = tuple(Annotation(Path(image), Path("s"), 8, 8, ()) for image in images)
    convert_dataset(Dataset(tmp_path, annotations), "yolo", tmp_path / "out", COPIED)
    names = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.txt"))
    assert names == ["classes.txt", "labels/A_3.txt", "labels/a.txt", "labels/a_2.txt", "labels/x/a.txt"]


@pytest.mark.parametrize("pictures", ["copy", "link", "reference"])
def test_no_file_of_the_data_set_is_ever_replaced(tmp_path, pictures):
    """Neither its pictures nor its annotations, also by another way to the same folder."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "annotations" / "a.xml").write_text("<annotation/>")
    (tmp_path / "again").symlink_to(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*/a.*")}
    dataset, _ = read_dataset(tmp_path)
    with pytest.raises(SettingsError, match="part of the data set itself"):
        convert_dataset(dataset, "voc", tmp_path / "again", WriteOptions(pictures=pictures))
    assert {path: path.read_bytes() for path in tmp_path.glob("*/a.*")} == before


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    """A picture that can't be copied leaves no half of it, and no temporary file."""
    dataset = make_dataset(tmp_path, [[("cat", (0, 1), (0, 1))]])
    (tmp_path / "photo #0 100%+&ä.png").unlink()
    with pytest.raises(SettingsError, match="can't be copied"):
        convert_dataset(dataset, "coco", tmp_path / "out", COPIED)
    assert list((tmp_path / "out").rglob("*.*")) == []


def test_a_file_that_breaks_off_leaves_the_earlier_one(tmp_path):
    """What was there under the name stays, and no half of the new one lies beside it."""
    target = Target(tmp_path, Dataset(tmp_path, ()), "reference")
    target.write("a.json", b"first")
    with pytest.raises(TypeError), target.open("a.json") as file:
        file.writelines([b"sec", "ond"])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"first")]


def test_unknown_formats_are_refused(tmp_path):
    """The message lists those that are known."""
    with pytest.raises(SettingsError, match="choose one of voc, coco, yolo"):
        read_dataset(tmp_path, format="kitti")
