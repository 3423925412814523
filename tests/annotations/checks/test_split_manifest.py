"""The manifest: what is written is read, nothing is replaced in silence, and checks compare with it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.grouping import group_pictures
from detector.annotations.picture_facts import examine_pictures
from detector.annotations.split_manifest import SplitRow, read_split_manifest, write_split_manifest
from detector.errors import SettingsError

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
rows_of = st.lists(
    st.builds(SplitRow, names, names, names, st.lists(names, max_size=3).map(tuple), names), max_size=8
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(deadline=None)
@given(rows=rows_of)
def test_rows_survive_the_file(tmp_path_factory, suffix, rows):
    """Also names with commas, quotes, line breaks; ordered by image."""
    path = tmp_path_factory.mktemp("split") / f"split{suffix}"
    write_split_manifest(rows, path)
    assert read_split_manifest(path) == sorted(rows)


def test_another_split_is_not_replaced_unless_told(tmp_path):
    """The same rows again are no change; others need overwrite."""
    path, row = tmp_path / "split.csv", SplitRow("a.jpg", "train", "a.jpg", ("cat",), "0" * 64)
    write_split_manifest([row], path)
    write_split_manifest([row], path)
    other = SplitRow("a.jpg", "val", "a.jpg", ("cat",), "0" * 64)
    with pytest.raises(SettingsError, match="another split"):
        write_split_manifest([other], path)
    write_split_manifest([other], path, overwrite=True)
    assert read_split_manifest(path) == [other]


@pytest.mark.parametrize(
    "content", [b"", b"image,split\na,b\n", b"\xff\xfe\x00", b"image,split,group,labels,sha256\na,b,c,d,e\n"]
)
def test_what_is_no_manifest_is_refused(tmp_path, content):
    """Without rows' columns, or with labels that are no list."""
    (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=r"split\.csv"):
        read_split_manifest(tmp_path / "split.csv")


@pytest.fixture
def rows(photos):
    """Give a right split of the photos: photo_0 and photo_1 for the test, the others for training."""
    images = [f"photo_{number}.jpg" for number in range(12)]
    facts = examine_pictures(photos, images)
    groups = group_pictures(facts)
    return [
        SplitRow(
            fact.image,
            "test" if fact.image in images[:2] else "train",
            groups[fact.image],
            ("star",),
            fact.sha256,
        )
        for fact in facts
    ]


def test_right_split_has_no_problems(check, photos, rows):
    """Every picture once."""
    assert check(photos, split=rows).problems == ()


def test_each_fault_of_a_split_is_found(find, photos, rows, draw, write_xml):
    """A row of no picture, a picture of no row, a picture that changed, one image on both sides."""
    gone = SplitRow("gone.jpg", "train", "gone.jpg", (), "0" * 64)
    assert find(photos, split=[*rows, gone]) == [("split-image-missing", "error", "gone.jpg")]
    assert find(photos, split=rows[1:]) == [("split-image-new", "warning", "photo_0.jpg")]
    both = SplitRow(rows[0].image, "train", "other", (), rows[0].sha256)
    assert find(photos, split=[*rows, both]) == [("split-overlap", "error", "photo_0.jpg")]
    write_xml(photos / "photo_0.xml", draw(photos, "photo_0.jpg", 99))
    assert find(photos, split=rows) == [("split-image-changed", "warning", "photo_0.jpg")]


def test_near_duplicates_on_both_sides_are_found(find, photos, rows, draw, write_xml):
    """The same scene in training and test, recompressed."""
    write_xml(photos / "photo_0.xml", draw(photos, "photo_0.jpg", 5, quality=60))
    problems = find(photos, split=rows)
    assert ("split-near-overlap", "warning", "photo_5.jpg") in problems
    assert not [code for code, _, _ in problems if code == "split-overlap"]


def test_folders_called_train_and_val_are_a_split(find, check, photos, draw, write_xml):
    """A copy, a copy to the eye and a clip's frames on both sides are found without a manifest."""
    for name in ("train", "Valid"):
        (photos / name).mkdir()
    for number, (split, twin) in enumerate([("train", "Valid"), ("train", "Valid"), ("Valid", "train")]):
        for kind in ("jpg", "xml"):
            (photos / f"photo_{number}.{kind}").rename(photos / split / f"photo_{number}.{kind}")
        assert not [code for code, _, _ in find(photos) if code.startswith("split")]
        boxes = draw(photos / twin, f"twin_{number}.jpg", number, **({"quality": 60} if number == 1 else {}))
        write_xml(photos / twin / f"twin_{number}.xml", boxes)
        found = [(code, severity) for code, severity, _ in find(photos) if code.startswith("split")]
        near = ("split-near-overlap", "warning")
        assert found == [near if number == 1 else ("split-overlap", "error")]
        for kind in ("jpg", "xml"):
            (photos / twin / f"twin_{number}.{kind}").unlink()
    for folder, second in (("train", "000001.000s_f000010"), ("Valid", "000002.000s_f000020")):
        write_xml(
            photos / folder / f"clip_t{second}.xml",
            draw(photos / folder, f"clip_t{second}.jpg", 50 + len(folder)),
        )
    (problem,) = check(photos, depth="names").problems
    assert (problem.code, "clip" in problem.message) == ("split-overlap", True)
