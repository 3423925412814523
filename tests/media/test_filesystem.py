"""Names of media, secrets, and reading exactly the version that was listed."""

import os
import pickle
import socket
from datetime import UTC, datetime, timedelta

import pytest

from detector.errors import (
    EmptyMediaError,
    MediaChangedError,
    MediaNotFoundError,
    SettingsError,
    UnreadableMediaError,
)
from detector.media.filesystem import (
    EPOCH,
    FileAccess,
    build_access,
    name_medium,
    open_content,
    read_content,
)


def read(path, *, size_bytes=None, modified_at=None, follow_symlinks=False) -> bytes:
    """Read a local file."""
    return read_content(
        str(path),
        size_bytes=size_bytes,
        modified_at=modified_at,
        access=FileAccess(),
        follow_symlinks=follow_symlinks,
    )


@pytest.mark.parametrize(
    ("typed", "media_uri"),
    [
        ("/a/b c%20.jpg", "/a/b c%20.jpg"),
        ("file:///a/b%20c.jpg", "/a/b c.jpg"),
        ("file:/a/b.jpg", "/a/b.jpg"),
        ("s3://bucket/a b?.jpg", "s3://bucket/a b?.jpg"),
        ("s3://id:hush@bucket/a/?scheme=http&endpoint_override=localhost:9000", "s3://bucket/a"),
        (
            "abfss://c:hush@account.dfs.core.windows.net/a/*.jpg",
            "abfss://c@account.dfs.core.windows.net/a/*.jpg",
        ),
        ("hdfs://name:8020/a?user=me", "hdfs://name:8020/a"),
    ],
)
def test_media_are_named_as_people_type_them(typed, media_uri):
    """Local paths are plain, remote ones lose options and passwords, wildcards stay."""
    assert name_medium(typed) == media_uri


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    """A relative path is named from the working folder."""
    monkeypatch.chdir(tmp_path)
    assert name_medium("a/../b.jpg") == str(tmp_path / "b.jpg")


def test_access_travels_and_hides_its_options():
    """The object can be pickled, and shows no option."""
    access = build_access(["/local", "s3://id:hush@bucket/a?access=secret", "s3://bucket/b"])
    assert pickle.loads(pickle.dumps(access)) == access
    assert "hush" not in repr(access)
    assert access.connections == (("s3://bucket", "s3://id:hush@bucket?access=secret"),)


def test_contradicting_options_are_refused():
    """One root with two sets of options names the setting, without the options."""
    with pytest.raises(SettingsError, match=r"media\.paths: s3://bucket is given") as caught:
        build_access(["s3://bucket/a?region=hush-1", "s3://bucket/b?region=hush-2"])
    assert "hush" not in str(caught.value)


def test_refused_option_does_not_show_the_password():
    """Pyarrow's refusal is passed on without the credentials."""
    access = build_access(["s3://id:hush@bucket/a?nonsense=topsecret"])
    with pytest.raises(UnreadableMediaError) as caught:
        access.open_filesystem("s3://bucket/a")
    assert "hush" not in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_unknown_scheme_is_unreadable():
    """A scheme that pyarrow doesn't know says so."""
    with pytest.raises(UnreadableMediaError, match="gopher://host can't be opened"):
        FileAccess().open_filesystem("gopher://host/a.jpg")


def test_listed_version_is_read(tmp_path):
    """Size and time as listed, to the microsecond that the file's nanoseconds are cut to."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    modified_at = EPOCH + timedelta(microseconds=1_700_000_000_123_456)
    assert read(path, size_bytes=3, modified_at=modified_at) == b"abc"
    with pytest.raises(MediaChangedError):
        read(path, size_bytes=3, modified_at=modified_at + timedelta(microseconds=1))
    with pytest.raises(MediaChangedError):
        read(path, size_bytes=4, modified_at=modified_at)


def test_change_during_the_read_is_noticed(tmp_path, monkeypatch):
    """A file that grows between its check and the end of the read is refused."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    real_fstat = os.fstat
    calls = []

    def grow_after_check(descriptor):
        status = real_fstat(descriptor)
        if status.st_ino == path.stat().st_ino and not calls:
            calls.append(descriptor)
            path.write_bytes(b"abcd")
        return status

    monkeypatch.setattr(os, "fstat", grow_after_check)
    with pytest.raises(MediaChangedError):
        read(path)


def test_empty_and_missing_files(tmp_path):
    """No bytes and no file are two errors; a file emptied since is a changed one."""
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(EmptyMediaError):
        read(tmp_path / "empty.jpg", size_bytes=0)
    with pytest.raises(MediaChangedError):
        read(tmp_path / "empty.jpg", size_bytes=9)
    for name in ("gone.jpg", "empty.jpg/below.jpg", "nul\0byte.jpg"):
        with pytest.raises(MediaNotFoundError):
            read(tmp_path / name)


@pytest.mark.timeout(20)
def test_pipes_devices_and_folders_are_refused(tmp_path):
    """Nothing that is no regular file is read, and nothing waits for a writer."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)
        server.bind("socket.jpg")
        for path in (tmp_path / "pipe.jpg", tmp_path, "/dev/zero", tmp_path / "socket.jpg"):
            with pytest.raises(UnreadableMediaError):
                read(path)


def test_symbolic_links_are_followed_when_told(tmp_path):
    """A link is refused, or read when media.follow_symlinks is on."""
    (tmp_path / "real.jpg").write_bytes(b"abc")
    (tmp_path / "link.jpg").symlink_to("real.jpg")
    with pytest.raises(UnreadableMediaError):
        read(tmp_path / "link.jpg")
    assert read(tmp_path / "link.jpg", follow_symlinks=True) == b"abc"


@pytest.mark.parametrize("given", ["photos", "photos/*/a.jpg", "photos/[x]", "."])
def test_folder_that_became_a_link_is_not_followed(tmp_path, monkeypatch, given):
    """Listed as a folder, swapped for a link to a twin outside with the same size and time: it's not read."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/[x]/day", "twin"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.jpg").write_bytes(b"abc")
    access, path = build_access([given]), tmp_path / "photos" / "[x]" / "day" / "a.jpg"
    options = {"size_bytes": 3, "modified_at": None, "access": access}
    assert read_content(str(path), follow_symlinks=False, **options) == b"abc"
    path.parent.rename(tmp_path / "gone")
    path.parent.symlink_to(tmp_path / "twin")
    with pytest.raises(MediaNotFoundError):
        read_content(str(path), follow_symlinks=False, **options)
    with pytest.raises(MediaNotFoundError), open_content(str(path), follow_symlinks=False, **options):
        raise AssertionError("opened")
    assert read_content(str(path), follow_symlinks=True, **options) == b"abc"


def test_given_folder_may_be_a_link(tmp_path):
    """And so may what lies above it; as it's listed, so it's read."""
    (tmp_path / "real" / "day").mkdir(parents=True)
    (tmp_path / "real" / "day" / "a.jpg").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("real")
    for given in ("link", "link/day", "link/day/a.jpg", "link/*"):
        access = build_access([str(tmp_path / given)])
        path = str(tmp_path / "link" / "day" / "a.jpg")
        content = read_content(path, size_bytes=3, modified_at=None, access=access, follow_symlinks=False)
        assert content == b"abc"


def test_signed_address_in_a_manifest_loses_its_signature():
    """A question mark in a key stays; the options of a signed address never get into a media_uri."""
    assert name_medium("s3://bucket/q?x=1.jpg", has_options=False) == "s3://bucket/q?x=1.jpg"
    for options in ("sv=2024-01-01&sig=hush", "X-Amz-Signature=hush", "AWSAccessKeyId=hush&Signature=hush"):
        signed = f"abfss://c@account.dfs.core.windows.net/a.jpg?{options}"
        assert name_medium(signed, has_options=False) == "abfss://c@account.dfs.core.windows.net/a.jpg"


def test_time_must_be_aware(tmp_path):
    """A time without a zone is a mistake of the caller, not of the file."""
    (tmp_path / "a.jpg").write_bytes(b"abc")
    with pytest.raises(TypeError):
        read(tmp_path / "a.jpg", modified_at=datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None))
