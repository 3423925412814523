"""Annotations to ground truth: one box an object, upright sizes, names to ids; what doesn't fit is named."""

import pytest
from PIL import Image

from detector.annotations.split_manifest import SplitRow
from detector.errors import EvaluationError
from detector.measurement.truths import build_truths, map_names, select_split

IDS = {"cat": 3, "dog": 7}


def test_boxes_and_sizes_are_of_the_upright_picture(labelled, read):
    """A picture that lies on its side by EXIF has width and height of how people see it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    labelled("a.jpg", (40, 80), [("dog", (10, 4, 30, 20), True), ("cat", (0, 0, 8, 8), False)], exif=exif)
    (truth,) = build_truths(read(), IDS)
    assert (truth.image, truth.width_px, truth.height_px) == ("a.jpg", 80, 40)
    assert truth.boxes_xyxy_px.tolist() == [[10, 4, 30, 20], [0, 0, 8, 8]]
    assert (truth.class_ids.tolist(), truth.difficult.tolist()) == ([7, 3], [True, False])


def test_several_boxes_of_one_object_are_one(labelled, read):
    """Their mean, within a class; with no threshold all of them stay."""
    near = [("cat", (0, 0, 20, 20), False), ("cat", (2, 0, 22, 20), False), ("dog", (0, 0, 20, 20), False)]
    labelled("a.png", (60, 40), near)
    (merged,) = build_truths(read(), IDS)
    assert merged.boxes_xyxy_px.tolist() == [[1, 0, 21, 20], [0, 0, 20, 20]]
    assert [len(build_truths(read(), IDS, cluster_iou=iou)[0].class_ids) for iou in (None, 1, 0.9)] == [
        3,
        3,
        3,
    ]


def test_a_box_without_area_is_never_missed(labelled, read):
    """It stays, to be ignored; swapped corners too."""
    labelled("a.png", (60, 40), [("cat", (5, 5, 5, 20), False), ("cat", (30, 9, 20, 19), False)])
    (truth,) = build_truths(read(), IDS)
    assert truth.ignore.tolist() == [True, True]
    assert (truth.boxes_xyxy_px[:, :2] <= truth.boxes_xyxy_px[:, 2:]).all()


def test_unknown_classes_are_refused_by_name(labelled, read):
    """With their boxes counted; told to, they are left out and the picture stays."""
    labelled("a.png", (60, 40), [("horse", (0, 0, 9, 9), False), ("cat", (0, 0, 9, 9), False)])
    with pytest.raises(EvaluationError, match=r"no class horse \(1 boxes\); it knows cat, dog\."):
        build_truths(read(), IDS)
    assert build_truths(read(), IDS, ignore_unknown=True)[0].class_ids.tolist() == [3]


def test_only_wanted_pictures_count(labelled, read):
    """Those of a split, background among them; one that isn't there is named."""
    for name in ("a.png", "b.png"):
        folder = labelled(name, (60, 40), [("cat", (0, 0, 9, 9), False)])
    Image.new("RGB", (9, 9)).save(folder / "empty.png")
    assert [truth.image for truth in build_truths(read(), IDS)] == ["a.png", "b.png"]
    chosen = build_truths(read(), IDS, ["empty.png", "b.png"])
    assert [(truth.image, len(truth.class_ids)) for truth in chosen] == [("b.png", 1), ("empty.png", 0)]
    assert len(build_truths(read(), IDS, unannotated_is_background=True)) == 3
    with pytest.raises(EvaluationError, match=r"1 wanted pictures are not below .*, the first is c\.png"):
        build_truths(read(), IDS, ["a.png", "c.png"])


def test_a_picture_without_a_size_is_named(labelled, read):
    """A header that can't be read is no picture to measure on."""
    folder = labelled("a.png", (60, 40), [("cat", (0, 0, 9, 9), False)])
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match=r"a\.png: the picture's size can't be read"):
        build_truths(read(), IDS)


def test_a_split_without_pictures_names_the_others():
    """A wrong name of a split is answered with the right ones."""
    rows = [SplitRow("a.jpg", "test", "a.jpg", (), ""), SplitRow("b.jpg", "val", "b.jpg", (), "")]
    assert select_split(rows, "val") == ["b.jpg"]
    with pytest.raises(EvaluationError, match=r"no pictures in 'tst'; its splits: test, val"):
        select_split(rows, "tst")


def test_a_name_given_twice_has_the_lowest_id():
    """Label maps of public models have such names."""
    assert map_names({9: "cat", 2: "cat", 4: "dog"}) == {"cat": 2, "dog": 4}
