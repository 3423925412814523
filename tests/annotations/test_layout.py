"""Which picture belongs to which annotation file, by names alone."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.annotations.layout import Pair, _match, _Matching, find_pairs
from detector.errors import SettingsError


@pytest.fixture
def lay_out(tmp_path):
    """Make empty files below a folder; give the folder."""

    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"")
        return tmp_path

    return make


def codes_of(problems):
    """List the codes of problems and the files they are in."""
    return [(problem.code, problem.file) for problem in problems]


def test_beside_each_other_with_extensions_in_any_case(lay_out):
    """A picture alone and an XML alone stay alone."""
    root = lay_out("b/a.JPG", "b/a.XML", "b/alone.png", "b/lonely.xml", "b/notes.txt")
    pairs, problems = find_pairs(root)
    assert pairs == [Pair("b/a.JPG", "b/a.XML"), Pair("b/alone.png", None), Pair(None, "b/lonely.xml")]
    assert problems == []


def test_separate_folders_at_any_depth(lay_out):
    """The folders that tell the kind are taken out of both paths, and what is left has to be equal."""
    root = lay_out(
        "train/images/x/a.jpg", "train/annotations/x/a.xml", "val/images/x/a.jpg", "val/annotations/x/a.xml"
    )
    assert find_pairs(root)[0] == [
        Pair("train/images/x/a.jpg", "train/annotations/x/a.xml"),
        Pair("val/images/x/a.jpg", "val/annotations/x/a.xml"),
    ]


def test_folders_that_are_given_are_the_only_ones_looked_in(lay_out):
    """Whatever they are called; the same stem elsewhere plays no part."""
    root = lay_out("photos/a.jpg", "boxes/a.xml", "old/a.xml", "old/a.jpg")
    pairs, problems = find_pairs(root, images="photos", annotations=root / "boxes")
    assert (pairs, problems) == ([Pair("photos/a.jpg", "boxes/a.xml")], [])


def test_a_stem_that_is_the_only_one_is_enough(lay_out):
    """Folders of any name, when nothing nearer is found."""
    root = lay_out("photos/2024/a.jpg", "labelled by Ann/a.xml")
    assert find_pairs(root)[0] == [Pair("photos/2024/a.jpg", "labelled by Ann/a.xml")]


def test_a_picture_that_has_its_file_is_not_offered_to_a_stray_one(lay_out):
    """The stray XML has lost its own picture: it is alone, and no second file of the other."""
    root = lay_out("a.jpg", "a.xml", "clip2/a.xml")
    assert find_pairs(root) == ([Pair("a.jpg", "a.xml"), Pair(None, "clip2/a.xml")], [])


def test_several_pictures_of_one_stem_are_left_out(lay_out):
    """Nobody knows which one was annotated: none of them is used, and none counts as not annotated."""
    root = lay_out("a.jpg", "a.png", "a.xml", "clip1/0001.jpg", "clip2/0001.jpg", "boxes/0001.xml")
    pairs, problems = find_pairs(root)
    assert pairs == []
    assert codes_of(problems) == [("several-images", "a.xml"), ("several-images", "boxes/0001.xml")]


def test_a_second_file_for_one_picture_is_a_problem(lay_out):
    """The one beside the picture counts."""
    root = lay_out("images/a.jpg", "images/a.xml", "annotations/a.xml")
    pairs, problems = find_pairs(root)
    assert pairs == [Pair("images/a.jpg", "images/a.xml")]
    assert codes_of(problems) == [("several-annotations", "annotations/a.xml")]


def test_links_are_followed_to_files_inside_only(lay_out, tmp_path_factory):
    """Neither out of the folder, nor to nowhere, nor to another folder."""
    root, outside = lay_out("real/a.jpg", "a.xml"), tmp_path_factory.mktemp("outside")
    (outside / "b.xml").write_bytes(b"")
    (root / "a.jpg").symlink_to(root / "real" / "a.jpg")
    (root / "b.xml").symlink_to(outside / "b.xml")
    (root / "c.xml").symlink_to(root / "gone.xml")
    (root / "folder").symlink_to(outside)
    pairs, problems = find_pairs(root)
    assert pairs == [Pair("a.jpg", "a.xml"), Pair("real/a.jpg", None)]
    assert {code for code, _ in codes_of(problems)} == {"link-not-followed"}
    assert sorted(file for _, file in codes_of(problems)) == ["b.xml", "c.xml", "folder"]


def test_hidden_files_and_pipes_are_passed_over(lay_out):
    """What macOS leaves behind, and what would block a reader for ever."""
    root = lay_out("a.jpg", "._a.xml", ".cache/a.xml")
    os.mkfifo(root / "a.xml")
    assert find_pairs(root) == ([Pair("a.jpg", None)], [])


def test_names_that_are_no_utf_8_are_a_problem(lay_out):
    """They can't be written into a report or a table."""
    root = lay_out("a.jpg")
    (root / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"")
    pairs, problems = find_pairs(root)
    assert pairs == [Pair("a.jpg", None)]
    assert codes_of(problems) == [("name-not-utf8", "caf\\xe9.jpg")]


@pytest.mark.parametrize("given", ["missing", "..", "/"])
def test_folders_that_are_not_there_or_not_inside_are_refused(lay_out, given):
    """What is matched lies below the root."""
    with pytest.raises(SettingsError, match=r"no folder|not inside"):
        find_pairs(lay_out("a.jpg"), images=given)


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    """The message names it."""
    with pytest.raises(SettingsError, match="missing is no folder"):
        find_pairs(tmp_path / "missing")


paths = st.lists(st.sampled_from(["a", "b", "images", "annotations"]), min_size=1, max_size=3).map("/".join)


@given(st.sets(paths, max_size=6), st.sets(paths, max_size=6))
def test_every_file_ends_in_one_place(image_stems, source_stems):
    """Paired, alone, left out or named in a problem: nothing is lost, nothing is used twice."""
    images, sources = sorted(f"{s}.jpg" for s in image_stems), sorted(f"{s}.xml" for s in source_stems)
    matching = _Matching(images, sources, [])
    for rule in (lambda path: path[:-4], lambda path: re.sub("(images|annotations)/", "", path)[:-4]):
        _match(matching, rule)
    assert len(set(matching.paired.values())) == len(matching.paired)
    assert not matching.left_out & set(matching.paired.values())
    named = [problem.file for problem in matching.problems]
    assert sorted([*matching.paired, *matching.sources, *named]) == sources
