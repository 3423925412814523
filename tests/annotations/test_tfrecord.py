"""TFRecords: parsed by TensorFlow with the Object Detection API's features, damaged, read again."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.reading import read_dataset
from detector.annotations.tfrecord import LABEL_MAP_NAME, read_tfrecord, write_tfrecord
from detector.annotations.tfrecord_files import format_example, format_record, parse_example, read_records
from detector.annotations.writing import WriteOptions
from detector.labels import read_label_map


@pytest.fixture
def features():
    """Give the features that the Object Detection API's TfExampleDecoder asks for, as it asks for them."""
    tf = pytest.importorskip("tensorflow")
    texts = {
        name: tf.io.FixedLenFeature((), tf.string, "") for name in ("filename", "source_id", "key/sha256")
    }
    lists = {
        **dict.fromkeys((f"bbox/{edge}" for edge in ("xmin", "xmax", "ymin", "ymax")), tf.float32),
        **dict.fromkeys(("class/label", "difficult", "truncated"), tf.int64),
        **dict.fromkeys(("class/text", "view"), tf.string),
    }
    return {
        "image/encoded": tf.io.FixedLenFeature((), tf.string),
        "image/format": tf.io.FixedLenFeature((), tf.string),
        "image/height": tf.io.FixedLenFeature((), tf.int64),
        "image/width": tf.io.FixedLenFeature((), tf.int64),
        **{f"image/{name}": spec for name, spec in texts.items()},
        **{f"image/object/{name}": tf.io.VarLenFeature(kind) for name, kind in lists.items()},
    }


def parse_all(folder, features):
    """Parse every record of a folder by TensorFlow, in the order of the shards."""
    import tensorflow as tf

    files = sorted(map(str, folder.glob("data.tfrecord-*")))
    return [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(files)]


@pytest.mark.data
def test_tensorflow_parses_a_real_set(data_pack, tmp_path, features):
    """Sizes, fractions, names and numbers of the classes; the pictures decode to the size that is said."""
    import tensorflow as tf

    dataset, _ = read_dataset(data_pack / "datasets" / "coco128_train32")
    assert write_tfrecord(dataset, tmp_path, WriteOptions(shards=3)) == []
    names = sorted(path.name for path in tmp_path.glob("data*"))
    assert names == [f"data.tfrecord-0000{n}-of-00003" for n in range(3)]
    label_map = read_label_map(tmp_path / LABEL_MAP_NAME)
    for parsed, annotation in zip(parse_all(tmp_path, features), dataset.annotations, strict=True):
        height, width = int(parsed["image/height"]), int(parsed["image/width"])
        assert tf.io.decode_image(parsed["image/encoded"], channels=3).shape == (height, width, 3)
        labels = [text.decode() for text in parsed["image/object/class/text"].values.numpy()]
        ids = parsed["image/object/class/label"].values.numpy()
        assert labels == [box.label for box in annotation.boxes] == [label_map.name_of(int(n)) for n in ids]
        edges = [parsed[f"image/object/bbox/{e}"].values.numpy() for e in ("xmin", "ymin", "xmax", "ymax")]
        pixels = np.array(edges).T * [width, height, width, height]
        assert pixels == pytest.approx(np.array([box.xyxy_px for box in annotation.boxes]), abs=1e-3)


def test_what_tensorflow_would_see_otherwise_goes_in_upright(tmp_path, features):
    """It ignores EXIF and knows no WebP: such pictures are written again, as PNG, and counted."""
    import tensorflow as tf

    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (64, 48))
    image.paste((255, 0, 0), (0, 0, 8, 8))  # its top left corner is the top right one of the upright picture
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    image.save(tmp_path / "b.webp")
    boxes = (Box("red", (40, 0, 48, 8)),)
    annotations = tuple(
        Annotation(Path(n), Path("x"), None, None, boxes) for n in ("a.jpg", "b.webp", "gone.jpg")
    )
    losses = write_tfrecord(Dataset(tmp_path, annotations), tmp_path / "out")
    assert sorted(map(str, losses)) == [
        "tfrecord: bytes of 2 pictures (now upright PNG)",
        "tfrecord: the whole of 1 picture (they can't be decoded)",
    ]
    turned = parse_all(tmp_path / "out", features)[0]
    pixels = tf.io.decode_image(turned["image/encoded"]).numpy()
    assert pixels.shape == (64, 48, 3)
    assert pixels[:8, 40:, 0].mean() > 200
    assert pixels[20:, :, 0].mean() < 30
    assert turned["image/format"] == b"png"


def test_tensorflow_writes_the_same_bytes(tmp_path):
    """The frame and the message, byte for byte."""
    tf = pytest.importorskip("tensorflow")
    values = {"b": [b"x", b""], "f": [0.5, -1.0], "i": [3, -4]}
    theirs = tf.train.Example(
        features=tf.train.Features(
            feature={
                "b": tf.train.Feature(bytes_list=tf.train.BytesList(value=values["b"])),
                "f": tf.train.Feature(float_list=tf.train.FloatList(value=values["f"])),
                "i": tf.train.Feature(int64_list=tf.train.Int64List(value=values["i"])),
            }
        )
    ).SerializeToString(deterministic=True)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        writer.write(theirs)
    assert format_example(values) == theirs
    assert format_record(theirs) == (tmp_path / "theirs").read_bytes()
    assert parse_example(theirs) == values


@pytest.mark.parametrize("change", ["cut", "flip", "length", "text"])
def test_damaged_files_are_problems_and_what_was_before_is_read(tmp_path, change):
    """A cut copy, a flipped bit, a length of nonsense, a file that is no TFRecord."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    annotation = Annotation(Path("a.png"), Path("a.xml"), 8, 8, (Box("cat", (0, 0, 8, 8)),))
    write_tfrecord(Dataset(tmp_path, (annotation,)), tmp_path)
    file = tmp_path / "data.tfrecord-00000-of-00001"
    good = file.read_bytes()
    second = {
        "cut": good[:-5],
        "flip": good[:40] + bytes([good[40] ^ 1]) + good[41:],
        "length": b"\xff" * 12,
        "text": b"no record",
    }
    file.write_bytes(good + second[change])
    dataset, problems = read_tfrecord(tmp_path)
    assert [(p.code, p.file) for p in problems] == [("tfrecord-damaged", file.name)]
    assert dataset.annotations[0].boxes[0].label == "cat"


def test_records_of_something_else_are_problems(tmp_path):
    """Features that are missing, and bytes that are no message."""
    records = [format_example({"image/height": [3]}), b"\xff\xff"]
    (tmp_path / "x.tfrecord").write_bytes(b"".join(map(format_record, records)))
    assert list(read_records(tmp_path / "x.tfrecord")) == records
    assert [p.code for p in read_tfrecord(tmp_path)[1]] == ["tfrecord-features"] * 2


def test_names_of_classes_survive_the_label_map(tmp_path):
    """Quotes, backslashes and umlauts; ids count from 1 in the order of the names."""
    boxes = tuple(Box(label, (0, 0, 8, 8)) for label in ('6" pipe', "a\\b", "Käse"))
    dataset = Dataset(tmp_path, (Annotation(None, None, None, None, boxes),))
    write_tfrecord(dataset, tmp_path / "out")
    assert read_label_map(tmp_path / "out" / LABEL_MAP_NAME).names == {1: '6" pipe', 2: "Käse", 3: "a\\b"}
