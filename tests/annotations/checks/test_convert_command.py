"""jobs/dataset.py convert from the outside: every format, there and back, whole sets and parts of a split."""

from typing import get_args

import numpy as np
import pytest

from detector.annotations.conversion import FORMATS
from detector.annotations.dataset_settings import FormatName
from detector.annotations.reading import read_dataset
from detector.annotations.split_manifest import read_split_manifest

COPIED = ("--pictures", "copy", "--uri_prefix", "gs://bucket/photos")


def list_boxes(root, to="voc"):
    """List the boxes with an area, by the picture's name: labels, and edges [N, 4]."""
    dataset, problems = read_dataset(root, format=to)
    assert problems == []
    found = {}
    for annotation in dataset.annotations:
        boxes = [box for box in annotation.boxes if box.area_px > 0]
        edges = np.array([box.xyxy_px for box in boxes]).reshape(-1, 4)
        found[annotation.image.name] = ([box.label for box in boxes], edges)
    return found


def assert_same(first, second, within_px):
    """Compare what ``list_boxes`` gave."""
    assert first.keys() == second.keys()
    for name, (labels, edges) in first.items():
        assert labels == second[name][0]
        assert np.abs(edges - second[name][1]).max(initial=0) <= within_px


def test_the_settings_name_every_format():
    """Those that --help lists are those that can be read and written."""
    assert get_args(FormatName) == tuple(FORMATS)


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_goes_there_and_back(run_job, photos, tmp_path, to, capsys):
    """Twelve drawn pictures out of VOC, and into VOC again."""
    out = tmp_path / "out" if to != "tfrecord" else photos / "records"  # its pictures are inside the records
    assert run_job("convert", photos, "--to", to, "--out", out, *COPIED) == 0
    assert "12 pictures and " in capsys.readouterr().out
    again = tmp_path / "again"
    root = photos if to == "tfrecord" else out
    assert run_job("convert", root, "--format", to, "--to", "voc", "--out", again, *COPIED) == 0
    assert_same(list_boxes(photos), list_boxes(again), within_px=0.01)


@pytest.mark.data
@pytest.mark.parametrize("name", ["raccoon", "bccd_trainval", "coco128_train32"])
def test_real_sets_go_through_coco_and_yolo_and_back(run_job, data_pack, tmp_path, name):
    """Each whole pixel is the same again, by the command line alone."""
    first = root = data_pack / "datasets" / name
    given = "voc"
    for to in ("coco", "yolo", "voc"):
        arguments = ("--format", given, "--to", to, "--out", tmp_path / to, "--pictures", "link")
        assert run_job("convert", root, *arguments) == 0
        root, given = tmp_path / to, to
    assert_same(list_boxes(first), list_boxes(root), within_px=0)


def test_the_parts_of_a_split_are_written_apart(run_job, photos, tmp_path, capsys):
    """Training's pictures into one folder, the test's into another; a part that is not there is refused."""
    split = tmp_path / "split.csv"
    assert run_job("split", photos, "--out", split) == 0
    for part in ("train", "test"):
        given = ("--to", "voc", "--split", split, "--part", part)
        assert run_job("convert", photos, *given, "--out", tmp_path / part, "--pictures", "copy") == 0
        expected = {row.image for row in read_split_manifest(split) if row.split == part}
        assert {path.name for path in (tmp_path / part / "images").iterdir()} == expected
    assert run_job("convert", photos, "--to", "voc", "--out", tmp_path / "x", "--split", split) == 2
    given = ("--to", "voc", "--split", split, "--part", "tset", "--out", tmp_path / "x")
    assert run_job("convert", photos, *given) == 2
    assert "choose one of test, train, val" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
