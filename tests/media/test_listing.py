"""One row for every file, and the right reason for those that aren't scored."""

import contextlib
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.media.filesystem import FileAccess, read_content
from detector.media.globs import compile_glob
from detector.media.listing import list_media, stat_media
from detector.media.selection import LISTING_SCHEMA
from detector.settings import MediaSettings

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def make(folder: Path, *names: str) -> Path:
    """Make files with a few bytes, and the folders above them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"bytes")
    return folder


def list_reasons(*paths, pruned=(), **settings) -> dict[str, str | None]:
    """List ``paths``: the reason of each media_uri, which must be there once."""
    table = list_media(MediaSettings(paths=[str(p) for p in paths], **settings), now=NOW, pruned=pruned)
    assert table.schema == LISTING_SCHEMA
    uris = table["media_uri"].to_pylist()
    assert len(uris) == len(set(uris))
    return dict(zip(uris, table["skip_reason"].to_pylist(), strict=True))


def list_names(folder, *paths, **settings) -> set[str]:
    """List ``paths``: the names below ``folder`` that are to be scored."""
    reasons = list_reasons(*paths, **settings)
    return {os.path.relpath(uri, folder) for uri, reason in reasons.items() if reason is None}


def test_the_same_files_as_os_walk(tmp_path):
    """Every file of a tree is there once, with its size and time."""
    make(
        tmp_path, "a.jpg", "b/c.PNG", "b/d/e.txt", "b/.f/g.jpg", "ü/ß ,%20.jpg", "[1]/x*.jpg", "no_extension"
    )
    expected = {f"{folder}/{name}" for folder, _, names in os.walk(tmp_path) for name in names}
    table = list_media(MediaSettings(paths=[str(tmp_path)]), now=NOW)
    assert table["media_uri"].to_pylist() == sorted(expected)
    assert set(table["size_bytes"].to_pylist()) == {5}


def test_listed_version_can_be_read(tmp_path):
    """The listed size and time are those that read_content checks."""
    os.utime(make(tmp_path, "a.jpg") / "a.jpg", ns=(0, 1_700_000_000_123_456_999))
    row = list_media(MediaSettings(paths=[str(tmp_path)]), now=NOW).to_pylist()[0]
    content = read_content(
        row["media_uri"],
        size_bytes=row["size_bytes"],
        modified_at=row["modified_at"],
        access=FileAccess(),
        follow_symlinks=False,
    )
    assert content == b"bytes"
    assert row["modified_at"].microsecond == 123_456


def test_hidden_files_are_rows(tmp_path):
    """Files with a dot, or below a folder with one, are counted as hidden."""
    make(tmp_path / ".up", "a.jpg", ".b.jpg", ".c/d.jpg", ".c/e/f.jpg", "_g/h.jpg")
    reasons = list_reasons(tmp_path / ".up")
    hidden = {os.path.relpath(uri, tmp_path / ".up") for uri, reason in reasons.items() if reason == "hidden"}
    assert hidden == {".b.jpg", ".c/d.jpg", ".c/e/f.jpg"}
    assert len(reasons) == 5


def test_a_hidden_folder_that_is_given_is_not_hidden(tmp_path):
    """Beside its parent, too: the deepest given path tells what is below it."""
    make(tmp_path, ".cache/a.jpg")
    assert list_names(tmp_path, tmp_path, tmp_path / ".cache") == {".cache/a.jpg"}


def test_symbolic_links_are_one_row_each(tmp_path):
    """Links to files, folders and nothing are rows of their own and not followed."""
    make(tmp_path, "a/b.jpg", "out/c.jpg")
    for name, target in (("file", "b.jpg"), ("folder", "../out"), ("nothing", "gone"), ("circle", "circle")):
        (tmp_path / "a" / name).symlink_to(target)
    reasons = list_reasons(tmp_path / "a")
    assert [reason for _, reason in sorted(reasons.items())] == [None, *["symlink"] * 4]


def test_symbolic_links_are_followed_once(tmp_path):
    """With follow_symlinks linked files and folders are listed by the name they were found by; circles end."""
    make(tmp_path, "a/b.jpg", "out/c.jpg")
    for name, target in (
        ("file.jpg", "b.jpg"),
        ("folder", "../out"),
        ("again", "../out"),
        ("up", ".."),
        ("self", "self"),
    ):
        (tmp_path / "a" / name).symlink_to(target)
    found = list_names(tmp_path / "a", tmp_path / "a", follow_symlinks=True)
    assert {"b.jpg", "file.jpg"} < found
    assert len([name for name in found if name.endswith("c.jpg")]) == 1
    assert list_reasons(tmp_path / "a", follow_symlinks=True)[str(tmp_path / "a" / "self")] == "symlink"


def test_files_are_found_by_their_real_names_first(tmp_path):
    """However many links lead to a folder below, its files keep the folder's own name."""
    make(tmp_path, "m/a.jpg")
    for name in "0aZz_9":
        (tmp_path / name).symlink_to("m")
    assert list_names(tmp_path, tmp_path, follow_symlinks=True) == {"m/a.jpg"}


def test_given_link_to_a_folder_is_followed(tmp_path):
    """The name of the link stays in media_uri, and its files are listed once beside the real folder."""
    make(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert list_names(tmp_path, tmp_path / "link") == {"link/a.jpg"}
    assert len(list_reasons(tmp_path / "link", tmp_path / "real", tmp_path / "link/a.jpg")) == 1


def test_pipes_and_sockets_are_no_files(tmp_path, monkeypatch):
    """They are rows, and listing them doesn't wait."""
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        assert set(list_reasons(tmp_path).values()) == {"not_a_file"}
    assert list_reasons(tmp_path / "pipe.jpg") == {str(tmp_path / "pipe.jpg"): "not_a_file"}


def test_names_that_are_no_utf8(tmp_path):
    """Their bytes are shown, in files and in folders."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    Path(os.fsdecode(folder)).mkdir()
    for name in (folder + b"/a.jpg", os.fsencode(tmp_path) + b"/\xe4.jpg"):
        os.close(os.open(name, os.O_CREAT))
    assert list_reasons(tmp_path) == {
        f"{tmp_path}/%E4.jpg": "name_not_utf8",
        f"{tmp_path}/%FF/a.jpg": "name_not_utf8",
    }


def test_patterns_match_names_or_paths(tmp_path):
    """Any case; exclude wins; a pattern with a slash reads the whole path; no include includes everything."""
    make(tmp_path, "a.JPG", "b.txt", "mask_c.jpg", "Thumbs/d.jpg")
    reasons = list_reasons(tmp_path, exclude=["MASK_*", "*/thumbs/*"])
    assert [reasons[f"{tmp_path}/{n}"] for n in ("a.JPG", "b.txt", "mask_c.jpg", "Thumbs/d.jpg")] == [
        None,
        "not_included",
        "excluded",
        "excluded",
    ]
    assert list_names(tmp_path, tmp_path, include=[]) == {"a.JPG", "b.txt", "mask_c.jpg", "Thumbs/d.jpg"}
    assert list_names(tmp_path, tmp_path, include=["*/thumbs/*"]) == {"Thumbs/d.jpg"}


def test_young_files_wait(tmp_path):
    """A file exactly as old as asked for is scored, one a microsecond younger waits."""
    make(tmp_path, "old.jpg", "young.jpg")
    limit_us = int((NOW - timedelta(seconds=60)).timestamp()) * 1_000_000
    os.utime(tmp_path / "old.jpg", ns=(0, limit_us * 1000))
    os.utime(tmp_path / "young.jpg", ns=(0, (limit_us + 1) * 1000))
    reasons = list_reasons(tmp_path, min_age_s=60)
    assert [reason for _, reason in sorted(reasons.items())] == [None, "too_young"]


def test_only_the_folder_itself(tmp_path):
    """Without recursive the folders below are left alone, unless a ** asks for them."""
    make(tmp_path, "a.jpg", "b/c.jpg")
    assert list_names(tmp_path, tmp_path, recursive=False) == {"a.jpg"}
    assert list_names(tmp_path, tmp_path / "**" / "c.jpg", recursive=False) == {"b/c.jpg"}


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*.jpg", {"a1.jpg", "a2.jpg"}),
        ("a?.jpg", {"a1.jpg", "a2.jpg"}),
        ("a[!2].jpg", {"a1.jpg"}),
        ("d*", {"d1/b.jpg", "d1/e/c.jpg", "d2/b.jpg"}),
        ("d[12]/*.jpg", {"d1/b.jpg", "d2/b.jpg"}),
        ("*/e/c.jpg", {"d1/e/c.jpg"}),
        ("**/b.jpg", {"d1/b.jpg", "d2/b.jpg"}),
        ("d1/**", {"d1/b.jpg", "d1/e/c.jpg"}),
        ("**/e", {"d1/e/c.jpg"}),
        ("d1/**/**/c.jpg", {"d1/e/c.jpg"}),
    ],
)
def test_globs(tmp_path, glob, names):
    """Wildcards find files, and folders with all that is in them."""
    make(tmp_path, "a1.jpg", "a2.jpg", "d1/b.jpg", "d1/e/c.jpg", "d2/b.jpg")
    assert list_names(tmp_path, tmp_path / glob) == names


def test_literal_names_win_over_globs(tmp_path):
    """Brackets, stars and commas in names are names where such a path or folder exists."""
    make(tmp_path, "cam[1]/a.jpg", "cam1/a.jpg", "x,y*.jpg", "x,yz.jpg")
    assert list_names(tmp_path, tmp_path / "cam[1]") == {"cam[1]/a.jpg"}
    assert list_names(tmp_path, tmp_path / "cam[1]" / "*.jpg") == {"cam[1]/a.jpg"}
    assert list_names(tmp_path, tmp_path / "x,y*.jpg") == {"x,y*.jpg"}


def test_overlapping_paths_are_listed_once(tmp_path):
    """Folders, their folders, files, globs and repetitions overlap without doubles."""
    make(tmp_path, "a/b.jpg", "a/c/d.jpg")
    paths = ["a", "a/c", "a/b.jpg", "a/**/*.jpg", "a/*", "a/../a/", "*"]
    found = list_names(tmp_path, *(f"{tmp_path}/{path}" for path in paths))
    assert found == {"a/b.jpg", "a/c/d.jpg"}


def test_pruned_folders_are_not_entered(tmp_path):
    """The tables' own files are no media, by whatever name the folder is reached."""
    make(tmp_path, "a.jpg", "tables/scores/part.jpg")
    (tmp_path / "link").symlink_to("tables")
    assert list_names(tmp_path, tmp_path, pruned=[str(tmp_path / "link")]) == {"a.jpg"}
    assert list_names(tmp_path, tmp_path / "*/scores", pruned=[f"file://{tmp_path}/tables"]) == set()
    assert list_names(tmp_path, tmp_path, pruned=[str(tmp_path / "absent")]) == {
        "a.jpg",
        "tables/scores/part.jpg",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_folders(tmp_path):
    """Below a given path one is a row; given itself it's a setting to correct."""
    make(tmp_path, "a.jpg", "b/c.jpg")
    (tmp_path / "b").chmod(0)
    assert list_reasons(tmp_path)[str(tmp_path / "b")] == "unreadable_folder"
    assert list_reasons(tmp_path / "*")[str(tmp_path / "b")] == "unreadable_folder"
    with pytest.raises(SettingsError, match=r"media\.paths: .* can't be read"):
        list_reasons(tmp_path / "b")


def test_failing_folders_by_error(tmp_path, monkeypatch):
    """The same for a folder that the system refuses, also for root."""
    make(tmp_path, "a.jpg", "b/c.jpg")
    real_scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real_scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    expected = {str(tmp_path / "a.jpg"): None, str(tmp_path / "b"): "unreadable_folder"}
    assert list_reasons(tmp_path) == expected
    assert list_reasons(tmp_path / "*/*.jpg", tmp_path) == expected
    with pytest.raises(SettingsError, match=r"media\.paths: .* can't be read"):
        list_reasons(tmp_path / "b")


@pytest.mark.parametrize("path", ["absent", "absent/*.jpg", "*.jpg", "**/x.jpg", "a.txt/b"])
def test_paths_that_give_nothing_are_refused(tmp_path, path):
    """A path or glob without any match names the setting and itself; an empty folder is no mistake."""
    assert list_reasons(tmp_path) == {}
    make(tmp_path, "a.txt")
    with pytest.raises(SettingsError, match=r"media\.paths: ") as caught:
        list_reasons(tmp_path / path)
    assert path in str(caught.value)


def test_manifest_files_are_looked_up(tmp_path):
    """Each once, in order; missing ones without size and to be scored; include and hidden don't count."""
    make(tmp_path, "a.jpg", ".b.dat", "mask.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    names = ["mask.jpg", "gone.jpg", "a.jpg", ".b.dat", "a.jpg", "link.jpg", ""]
    uris = [f"{tmp_path}/{name}" for name in names] + [f"file://{tmp_path}/a.jpg"]
    table = stat_media(uris, MediaSettings(exclude=["mask*"]), FileAccess())
    rows = [
        (os.path.relpath(r["media_uri"], tmp_path), r["size_bytes"], r["skip_reason"])
        for r in table.to_pylist()
    ]
    assert rows == [
        ("mask.jpg", 5, "excluded"),
        ("gone.jpg", None, None),
        ("a.jpg", 5, None),
        (".b.dat", 5, None),
        ("link.jpg", None, "symlink"),
        (".", None, "not_a_file"),
    ]


def test_manifest_and_listing_agree(tmp_path):
    """The same file has the same size and time by both ways."""
    make(tmp_path, "a.jpg", "b/c.jpg")
    listed = list_media(MediaSettings(paths=[str(tmp_path)]), now=NOW)
    assert stat_media(listed["media_uri"].to_pylist(), MediaSettings(), FileAccess(), now=NOW) == listed


@given(st.text("ab*?[]!-^&|~.\\/", max_size=8))
def test_any_text_is_a_glob_or_a_reversed_range(text):
    """No text makes anything else of a glob than a pattern or a SettingsError."""
    with contextlib.suppress(SettingsError):
        assert compile_glob(text).fullmatch("no such text") is None or "*" in text


def test_reversed_range_names_the_setting(tmp_path):
    """A range that ends before it begins is refused by name."""
    make(tmp_path, "a.jpg")
    with pytest.raises(SettingsError, match=r"media\.paths: \[9-0\]"):
        list_reasons(tmp_path / "[9-0].jpg")
