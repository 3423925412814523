"""What training data is made of, what is refused and what is left out."""

import itertools
import shutil

import pytest
from PIL import Image

from detector.annotations.commands import split_folder
from detector.annotations.dataset_settings import SplitSettings
from detector.annotations.split_manifest import read_split_manifest, write_split_manifest
from detector.errors import SettingsError
from detector.training.input.examples import load_training_data
from detector.training.train_settings import DataSettings


def load(folder, **options):
    """Load a folder."""
    return load_training_data(DataSettings(root=folder, **options))


def list_names(data):
    """List the names of each split."""
    return {split: [example.name for example in examples] for split, examples in data.splits.items()}


@pytest.fixture
def photos(draw_folder):
    """Give 20 drawn pictures."""
    return draw_folder(20)


def write_manifest(folder, path, **changes):
    """Split by the command; change the split of some images."""
    split_folder(SplitSettings(folder=folder, out=path, seed=4), lambda _: lambda *_: None)
    rows = read_split_manifest(path)
    changed = [type(row)(**{**_as_dict(row), **changes.get(row.image, {})}) for row in rows]
    write_split_manifest(changed, path, overwrite=True)
    return changed


def _as_dict(row):
    return {name: getattr(row, name) for name in ("image", "split", "group", "labels", "sha256")}


def test_a_folder_becomes_three_splits(photos):
    """Every picture once, sizes and boxes as annotated, ids from 1 in the order of the names."""
    data = load(photos)
    assert {split: len(examples) for split, examples in data.splits.items()} == {
        "train": 14, "val": 3, "test": 3,
    }  # fmt: skip
    names = sorted(itertools.chain(*list_names(data).values()))
    assert names == sorted(path.name for path in photos.glob("*.png"))
    assert list(data.labels.names) == list(range(1, len(data.labels.names) + 1))
    assert list(data.labels.names.values()) == sorted(data.labels.names.values())
    example = data.splits["train"][0]
    annotation = next(a for a in data.dataset.annotations if str(a.image) == example.name)
    assert (example.width_px, example.height_px, example.boxes) == (120, 90, annotation.boxes)
    assert example.path.is_file()


def test_the_split_is_the_split_commands(photos, tmp_path):
    """Same functions, same fractions and seed: the same manifest."""
    out = tmp_path / "split.csv"
    settings = SplitSettings(folder=photos, out=out, train=0.7, val=0.15, test=0.15, seed=5)
    split_folder(settings, lambda _: lambda *_: None)
    assert sorted(load(photos, split_seed=5).rows) == read_split_manifest(out)


def test_a_manifest_is_followed(photos, tmp_path):
    """Whatever the fractions say."""
    rows = write_manifest(photos, tmp_path / "split.csv")
    data = load(photos, split=tmp_path / "split.csv")
    assert list_names(data) == {
        split: [row.image for row in rows if row.split == split] for split in ("train", "val", "test")
    }


def test_a_manifest_that_names_a_picture_that_is_gone_is_refused(photos, tmp_path):
    """By its name."""
    write_manifest(photos, tmp_path / "split.csv")
    (photos / "photo_03.png").unlink()
    (photos / "photo_03.xml").unlink()
    with pytest.raises(SettingsError, match=r"photo_03\.png: the split names it"):
        load(photos, split=tmp_path / "split.csv")


def test_a_manifest_with_another_split_is_refused(photos, tmp_path):
    """A word that training doesn't know."""
    write_manifest(photos, tmp_path / "split.csv", **{"photo_03.png": {"split": "holdout"}})
    with pytest.raises(SettingsError, match=r"photo_03\.png: unknown split 'holdout'"):
        load(photos, split=tmp_path / "split.csv")


def test_a_manifest_with_a_picture_that_nobody_annotated_is_refused(photos, tmp_path):
    """The file is there, its XML is not."""
    write_manifest(photos, tmp_path / "split.csv")
    (photos / "photo_03.xml").unlink()
    with pytest.raises(SettingsError, match=r"photo_03\.png: nobody annotated it"):
        load(photos, split=tmp_path / "split.csv")
    assert load(photos, split=tmp_path / "split.csv", background=True).splits["train"]


def test_a_picture_that_cannot_be_decoded_is_left_out_and_named(photos, tmp_path):
    """Also of a manifest."""
    write_manifest(photos, tmp_path / "split.csv")
    content = (photos / "photo_03.png").read_bytes()
    (photos / "photo_03.png").write_bytes(content[: len(content) // 2])
    for options in ({}, {"split": tmp_path / "split.csv"}):
        data = load(photos, **options)
        assert "photo_03.png" not in itertools.chain(*list_names(data).values())
        assert ("image-undecodable", "photo_03.png") in [(p.code, p.file) for p in data.problems]


def test_unreadable_xml_is_refused(photos):
    """By file, with the command that tells more."""
    (photos / "photo_03.xml").write_text("<annotation><object></annotation>", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"(?s)photo_03\.xml.*jobs/dataset\.py check"):
        load(photos)


@pytest.mark.data
def test_an_entity_bomb_is_refused(photos, data_pack):
    """As the reader refuses it."""
    shutil.copy(data_pack / "datasets/hostile_xml/xmlbomb.xml", photos / "photo_03.xml")
    with pytest.raises(SettingsError, match=r"photo_03\.xml:\d+: error"):
        load(photos)


def test_a_picture_of_another_size_than_annotated_is_refused(photos):
    """All of its boxes would be wrong."""
    Image.new("RGB", (60, 45)).save(photos / "photo_03.png")
    with pytest.raises(SettingsError, match=r"declares 120 x 90 pixels, the picture has 60 x 45"):
        load(photos)


def test_a_class_that_the_label_map_lacks_is_refused(photos, tmp_path):
    """With the name that was meant."""
    labels = tmp_path / "classes.txt"
    labels.write_text("circle\nrectangle\ntriangle\nstarr\n")
    with pytest.raises(SettingsError, match=r"'star' of .*did you mean 'starr'"):
        load(photos, labels=labels)


def test_a_label_map_gives_the_ids(photos, tmp_path):
    """Gaps are allowed; a network has an output for each id up to the highest."""
    labels = tmp_path / "map.json"
    labels.write_text('{"2": "star", "7": "circle", "3": "rectangle", "4": "triangle"}')
    data = load(photos, labels=labels)
    assert data.labels.name_of(7) == "circle"
    assert data.class_count == 7


@pytest.mark.parametrize(
    ("content", "fault"),
    [('{"0": "star", "1": "circle"}', "below 1"), ('{"1": "star", "2": "star"}', "'star' has two ids")],
)
def test_label_maps_that_cannot_be_trained_are_refused(photos, tmp_path, content, fault):
    """Ids from 1, one for each name."""
    labels = tmp_path / "map.json"
    labels.write_text(content)
    with pytest.raises(SettingsError, match=fault):
        load(photos, labels=labels)


def test_boxes_that_cannot_be_learned_are_cut_or_left_out(photos, write_xml):
    """A box without area goes, one that reaches out is cut, and both are told."""
    boxes = [("star", 10, 10, 10, 40), ("star", 100, 50, 140, 80), ("star", 5, 5, 30, 30)]
    write_xml(photos / "photo_03.xml", boxes, (120, 90))
    data = load(photos)
    example = next(e for examples in data.splits.values() for e in examples if e.name == "photo_03.png")
    assert [box.xyxy_px for box in example.boxes] == [(100, 50, 120, 80), (5, 5, 30, 30)]
    told = [p.code for p in data.problems if p.file == "photo_03.xml"]
    assert sorted(told) == ["box-no-area", "box-outside"]
    assert not [p for p in data.problems if p.severity == "error"]


def test_a_folder_without_boxes_is_refused(photos, write_xml):
    """There is nothing to learn."""
    for path in photos.glob("*.xml"):
        write_xml(path, [], (120, 90))
    with pytest.raises(SettingsError, match="no box is annotated"):
        load(photos)


def test_a_split_without_boxes_is_refused(photos, tmp_path):
    """Here all are in train."""
    path = tmp_path / "split.csv"
    rows = write_manifest(photos, path)
    write_split_manifest([type(r)(**{**_as_dict(r), "split": "train"}) for r in rows], path, overwrite=True)
    with pytest.raises(SettingsError, match=r"split 'val' has no pictures \(pictures: train 20, val 0"):
        load(photos, split=path)


def test_the_digest_follows_from_the_data(photos, write_xml):
    """The same when read again; another one for another split, box or picture."""
    first = load(photos).digest
    assert load(photos).digest == first
    assert load(photos, split_seed=1).digest != first
    write_xml(photos / "photo_03.xml", [("star", 5, 5, 30, 31)], (120, 90))
    changed = load(photos).digest
    assert changed != first
    Image.new("RGB", (120, 90)).save(photos / "photo_03.png")
    assert load(photos).digest not in (first, changed)


def test_progress_is_told(photos):
    """Of annotations and pictures, to the last one."""
    seen = {}

    def watch(words):
        return lambda done, total: seen.update({words: (done, total)})

    load_training_data(DataSettings(root=photos), watch)
    assert seen["pictures"] == (20, 20)
    assert set(seen) <= {"annotations", "pictures"}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "pictures", "boxes", "notes"), [("raccoon", 200, 217, 0), ("bccd_trainval", 292, None, 2)]
)
def test_real_data_is_loaded(data_pack, name, pictures, boxes, notes):
    """All pictures and boxes; bccd's two boxes without area are left out."""
    data = load(data_pack / "datasets" / name)
    examples = list(itertools.chain(*data.splits.values()))
    assert len(examples) == pictures
    assert boxes in (None, sum(len(example.boxes) for example in examples))
    assert len(data.problems) == notes
