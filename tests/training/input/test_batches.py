"""Epochs: the same by seed and number, of one shape, whatever ran before."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.annotations.dataset import Box
from detector.errors import DetectorError, SettingsError
from detector.labels import LabelMap
from detector.training.input.batch import Batch
from detector.training.input.batches import TrainingInput
from detector.training.input.examples import Example, load_training_data
from detector.training.input.packing import PADDING
from detector.training.input.sheet import draw_sheet, write_sheet
from detector.training.train_settings import AugmentSettings, DataSettings, FitSettings

EVERYTHING = AugmentSettings(flip_vertical=0.3, crop=0.3, mosaic=0.3, copy_paste=0.3, box_jitter=0.05)


@pytest.fixture
def data(draw_folder):
    """Load 18 drawn pictures, 11 of them for training."""
    return load_training_data(DataSettings(root=draw_folder(18), train=0.56, val=0.28, test=0.16))


def open_input(data, augment=EVERYTHING, fit=None, **options):
    """Open the training input on canvases of 64 pixels, 4 a batch."""
    return TrainingInput(
        data.splits["train"],
        data.labels,
        augment,
        FitSettings(batch_size=4, **(fit or {})),
        DataSettings(root=Path(), **options),
        64,
    )


def read_epoch(feed, number):
    """Read an epoch's arrays, all batches in one."""
    batches = list(feed.epoch(number))
    names = ("pixels", "boxes_yxyx_norm", "class_ids", "examples")
    return {name: np.concatenate([np.asarray(getattr(batch, name)) for batch in batches]) for name in names}


def assert_same(first, second):
    """Compare two epochs to the last bit."""
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name


def test_an_epoch_follows_from_seed_and_number(data):
    """Whatever ran before, however many threads, wherever canvases are kept."""
    feed = open_input(data, workers=3)
    third = read_epoch(feed, 3)
    read_epoch(feed, 0)
    assert_same(read_epoch(feed, 3), third)
    assert_same(read_epoch(open_input(data, workers=1, cache="none"), 3), third)
    assert_same(read_epoch(open_input(data, cache="disk"), 3), third)


def test_epochs_and_seeds_differ(data):
    """In order and in augmentation: also the pictures of the same example."""
    first = read_epoch(open_input(data), 0)
    for other in (read_epoch(open_input(data), 1), read_epoch(open_input(data, fit={"seed": 7}), 0)):
        assert other["examples"].tolist() != first["examples"].tolist()
        example = first["examples"][0]
        mine, theirs = (e["pixels"][e["examples"].tolist().index(example)] for e in (first, other))
        assert not np.array_equal(mine, theirs)


def test_an_epoch_shows_every_picture_and_fills_the_last_batch(data):
    """11 pictures in 3 batches of 4: one is shown twice."""
    feed = open_input(data)
    assert len(data.splits["train"]) == 11
    assert feed.steps_per_epoch == len(list(feed.epoch(0))) == 3
    counts = Counter(read_epoch(feed, 0)["examples"].tolist())
    assert sorted(counts) == list(range(11))
    assert sorted(counts.values()) == [1] * 10 + [2]
    assert feed.name_of(3) == data.splits["train"][3].name


def test_pictures_of_a_batch_are_varied_each_in_its_own_way(data):
    """One example, four times in a batch: four different pictures."""
    alone = TrainingInput(
        data.splits["train"][:1], data.labels, AugmentSettings(), FitSettings(batch_size=4),
        DataSettings(root=Path()), 64,
    )  # fmt: skip
    assert alone.steps_per_epoch == 1
    pixels = read_epoch(alone, 0)["pixels"]
    assert len({picture.tobytes() for picture in pixels}) == 4


def test_the_batches_are_what_families_take(data):
    """Shapes, types and ranges; rows of padding are zeros with class 0, behind the boxes."""
    feed = open_input(data)
    for batch in feed.epoch(0):
        assert (batch.pixels.shape, batch.pixels.dtype.name) == ((4, 64, 64, 3), "float32")
        assert batch.boxes_yxyx_norm.shape == (4, feed.max_boxes, 4)
        assert (batch.boxes_yxyx_norm.dtype.name, batch.class_ids.dtype.name) == ("float32", "int32")
        assert batch.examples.shape == (4,)
        pixels, boxes, class_ids = (
            np.asarray(t) for t in (batch.pixels, batch.boxes_yxyx_norm, batch.class_ids)
        )
        assert 0 <= pixels.min() < 60
        assert 200 < pixels.max() <= 255
        assert (boxes[class_ids == 0] == 0).all()
        assert (boxes[class_ids > 0][:, 2:] > boxes[class_ids > 0][:, :2]).all()
        assert (np.diff((class_ids > 0).astype(int), axis=1) <= 0).all()
        assert ((boxes >= 0) & (boxes <= 1)).all()


def test_plain_batches_are_the_pictures_as_they_are(data):
    """In order, no chance in them; the last batch is filled with grey and marked."""
    feed, examples = open_input(data), data.splits["val"]
    assert len(examples) == 5
    batches = list(feed.plain_batches(examples))
    positions = np.concatenate([np.asarray(batch.examples) for batch in batches])
    assert positions.tolist() == [0, 1, 2, 3, 4, PADDING, PADDING, PADDING]
    first, last = batches
    assert (np.asarray(last.pixels)[1:] == 127).all()
    assert (np.asarray(last.class_ids)[1:] == 0).all()
    box = examples[0].boxes[0]
    x_min, y_min, x_max, y_max = box.xyxy_px
    wanted = np.array([y_min + 15, x_min, y_max + 15, x_max]) / 120  # 120 x 90 on a square of 120
    assert np.asarray(first.boxes_yxyx_norm)[0, 0] == pytest.approx(wanted, abs=1e-6)
    assert data.labels.name_of(int(first.class_ids[0, 0])) == box.label
    again = next(iter(feed.plain_batches(examples)))
    assert np.array_equal(first.pixels, again.pixels)


def test_rare_classes_are_shown_more_often_by_setting(tmp_path):
    """One picture of ten has a dog: sqrt(.55 / .1) = 2.3 times an epoch; without balance once."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    examples = [
        Example(f"{n}.png", path, 20, 20, (Box("dog" if n == 0 else "cat", (2, 2, 9, 9)),), "0" * 64)
        for n in range(10)
    ]
    shown = {}
    for is_balanced in (False, True):
        fit = FitSettings(batch_size=1, class_balance=is_balanced)
        feed = TrainingInput(
            examples, LabelMap({1: "cat", 2: "dog"}), AugmentSettings(), fit, DataSettings(root=Path()), 32
        )
        orders = [[int(batch.examples[0]) for batch in feed.epoch(number)] for number in range(12)]
        shown[is_balanced] = np.mean([order.count(0) for order in orders])
        assert all(len(order) == feed.steps_per_epoch for order in orders)
    assert shown[False] == 1
    assert shown[True] == pytest.approx(np.sqrt(5), abs=0.4)


def test_an_error_of_a_thread_comes_as_it_was(data):
    """With its file and advice, not as TensorFlow's text."""
    feed = open_input(data, cache="none")
    data.splits["train"][2].path.unlink()
    with pytest.raises(SettingsError, match="could be decoded before"):
        list(feed.epoch(0))


def test_without_pictures_there_is_no_input():
    """Said before training."""
    with pytest.raises(SettingsError, match="no pictures to train on"):
        TrainingInput([], LabelMap({1: "a"}), AugmentSettings(), FitSettings(), DataSettings(root=Path()), 64)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_sheet_shows_the_first_samples_with_their_boxes(data, tmp_path, suffix):
    """Nine in a grid of three, each canvas enlarged to 256 pixels and a gap; lines of boxes are in it."""
    feed, path = open_input(data), tmp_path / "new" / f"sheet{suffix}"
    feed.write_sheet(path, 9)
    sheet = cv2.imread(str(path))
    assert sheet.shape == (3 * 260, 3 * 260, 3)
    batch = next(iter(feed.epoch(0)))
    plain = np.asarray(batch.pixels[0]).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    differs = np.abs(sheet[:256, :256, ::-1].astype(int) - plain).max(axis=-1) > 60
    box = np.rint(np.asarray(batch.boxes_yxyx_norm)[0, 0] * 256).astype(int)
    assert differs[box[2] - 1, box[1] : box[3]].mean() > 0.6
    assert 0 < differs.mean() < 0.3


def test_red_is_written_as_red(tmp_path):
    """OpenCV reads it back as blue, green, red."""
    red = np.zeros((1, 256, 256, 3), np.float32)
    red[..., 0] = 255
    batch = Batch(red, np.zeros((1, 1, 4), np.float32), np.zeros((1, 1), np.int32), np.zeros(1, np.int32))
    write_sheet(tmp_path / "red.png", [batch], LabelMap())
    assert cv2.imread(str(tmp_path / "red.png"))[9, 9].tolist() == [0, 0, 255]


def test_a_sheet_that_cannot_be_written_says_so(data, tmp_path):
    """An extension that no encoder knows, and nothing to draw."""
    with pytest.raises(DetectorError, match=r"sheet\.xyz can't be written"):
        open_input(data).write_sheet(tmp_path / "sheet.xyz", 2)
    with pytest.raises(ValueError, match="no picture"):
        draw_sheet([], data.labels)
