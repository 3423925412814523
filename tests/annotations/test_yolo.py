"""YOLO folders: lines of numbers, and where the names of the classes stand."""

from pathlib import Path

import pytest
import yaml
from libs.yolo_io import YoloReader
from PIL import Image

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.writing import WriteOptions
from detector.annotations.yolo import read_yolo, write_yolo
from detector.errors import SettingsError


class LoadedImage:
    """What labelImg's reader asks a Qt image: 100 x 50 pixels in colour."""

    def width(self):
        """Give the width."""
        return 100

    def height(self):
        """Give the height."""
        return 50

    def isGrayscale(self):  # noqa: N802
        """Tell whether it is grey."""
        return False


@pytest.fixture
def write_labels(tmp_path):
    """Write one picture of 100 x 50 pixels and its label file; give the folder."""

    def write(text, names="cat\ndog\n"):
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", (100, 50)).save(tmp_path / "images" / "a.jpg")
        (tmp_path / "labels" / "a.txt").write_text(text)
        (tmp_path / "classes.txt").write_text(names)
        return tmp_path

    return write


def test_fractions_become_pixels_of_the_upright_picture(write_labels):
    """Centre (.5, .5), a fifth wide and all high; EXIF turns the second picture."""
    root = write_labels("1 0.5 0.5 0.2 1\n\n0 0.1 0.1 0.2 0.2\n")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(root / "images" / "b.jpg", exif=exif)
    (root / "labels" / "b.txt").write_text("1 0.5 0.5 0.2 1")
    dataset, problems = read_yolo(root)
    assert problems == []
    assert dataset.annotations[0].boxes[0] == Box("dog", (40, 0, 60, 50), line=1)
    assert (dataset.annotations[0].boxes[1].label, dataset.annotations[0].boxes[1].line) == ("cat", 3)
    assert dataset.annotations[1].boxes[0].xyxy_px == (20, 0, 30, 100)


@pytest.mark.parametrize(
    ("line", "code", "count"),
    [
        ("0 0.5 0.5 0.2", "yolo-line", 0),
        ("cat 0.5 0.5 0.2 0.2", "yolo-line", 0),
        ("0 0.5 nan 0.2 0.2", "yolo-line", 0),
        ("0.5 0.5 0.5 0.2 0.2", "yolo-line", 0),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "yolo-line", 0),
        ("2 0.5 0.5 0.2 0.2", "yolo-class", 0),
        ("0 0.1 0.1 0.9 0.2 0.3 0.8", "yolo-outline", 1),
        ("0 0.5 0.5 0.2 0.2 0.97", "yolo-outline", 1),
    ],
)
def test_lines_that_are_no_boxes_are_problems_with_their_number(write_labels, line, code, count):
    """Outlines and scores are notes: the box is good."""
    dataset, problems = read_yolo(write_labels(f"0 0.5 0.5 0.1 0.1\n{line}\n"))
    assert [(p.code, p.file, p.line) for p in problems] == [(code, "labels/a.txt", 2)]
    assert len(dataset.annotations[0].boxes) == 1 + count


def test_an_outline_is_read_as_the_box_around_it(write_labels):
    """Ultralytics' segmentation labels."""
    dataset, _ = read_yolo(write_labels("0 0.1 0.2 0.9 0.4 0.3 0.8"))
    assert dataset.annotations[0].boxes[0].xyxy_px == pytest.approx((10, 10, 90, 40))


@pytest.mark.parametrize("names", [["cat", "dog"], {0: "cat", 1: "dog"}])
def test_names_come_from_data_yaml_first(write_labels, names):
    """As a list or as numbers and names."""
    root = write_labels("1 0.5 0.5 0.2 1", names="wrong\nworse\n")
    (root / "classes.txt").rename(root / "labels" / "classes.txt")
    (root / "data.yaml").write_text(yaml.safe_dump({"path": "/datasets/x", "names": names}))
    assert read_yolo(root)[0].labels() == ("dog",)


def test_without_names_nothing_is_read(write_labels):
    """Numbers alone name no class; YAML that runs code is no YAML."""
    root = write_labels("0 0.5 0.5 0.2 1")
    (root / "classes.txt").unlink()
    with pytest.raises(SettingsError, match=r"no data\.yaml with names"):
        read_yolo(root)
    (root / "data.yaml").write_text("names: !!python/object/apply:os.getcwd []")
    with pytest.raises(SettingsError, match="no YAML"):
        read_yolo(root)


def test_pictures_that_cannot_be_measured_are_left_out(write_labels):
    """Without the size no pixel is known; without label file a picture was not annotated."""
    root = write_labels("0 0.5 0.5 0.2 1")
    (root / "images" / "a.jpg").write_bytes(b"no picture")
    (root / "images" / "b.jpg").write_bytes(b"no picture")
    dataset, problems = read_yolo(root)
    assert [p.code for p in problems] == ["image-unreadable"]
    assert dataset.annotations == (Annotation(Path("images/b.jpg"), None, None, None, ()),)


def test_labelimg_opens_what_is_written(write_labels, tmp_path_factory):
    """Its own reader, from PyPI, finds the classes and the corners."""
    out = tmp_path_factory.mktemp("out")
    boxes = (Box("dog", (40, 0, 60, 50)), Box("cat", (0, 10, 99, 20)))
    annotation = Annotation(Path("images/a.jpg"), Path("a.xml"), 100, 50, boxes)
    losses = write_yolo(Dataset(write_labels(""), (annotation,)), out)
    reader = YoloReader(str(out / "labels" / "a.txt"), LoadedImage(), str(out / "classes.txt"))
    assert [(shape[0], shape[1][0], shape[1][2]) for shape in reader.get_shapes()] == [
        ("dog", (40, 0), (60, 50)),
        ("cat", (0, 10), (99, 20)),
    ]
    assert [loss.what for loss in losses] == ["the place"]


def test_the_layout_is_ultralytics_own(write_labels, tmp_path_factory):
    """Labels lie where the last images/ of a picture's path is replaced by labels/; data.yaml names both."""
    out = tmp_path_factory.mktemp("out")
    annotation = Annotation(Path("images/a.jpg"), Path("a.xml"), 100, 50, (Box("dog", (0, 0, 100, 50)),))
    write_yolo(Dataset(write_labels(""), (annotation,)), out, WriteOptions(pictures="copy"))
    assert (out / "images" / "a.jpg").is_file()
    assert (out / "labels" / "a.txt").read_text() == "0 0.50000000 0.50000000 1.00000000 1.00000000\n"
    content = yaml.safe_load((out / "data.yaml").read_text())
    assert content == {"path": ".", "train": "images", "val": "images", "names": {0: "dog"}}
