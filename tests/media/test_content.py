"""Opening a medium to read parts of it: exactly the version that was listed, before and after."""

import os
from datetime import timedelta

import pytest
from pyarrow import fs

from detector.errors import MediaChangedError, MediaNotFoundError, UnreadableMediaError
from detector.media import filesystem
from detector.media.filesystem import EPOCH, FileAccess, open_content


def open_file(path, *, size_bytes=None, modified_at=None, follow_symlinks=False):
    """Open a local file, or a URI."""
    return open_content(
        str(path),
        size_bytes=size_bytes,
        modified_at=modified_at,
        access=FileAccess(),
        follow_symlinks=follow_symlinks,
    )


@pytest.fixture
def clip(tmp_path):
    """Give a file of ten bytes, modified at second 1000."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"0123456789")
    os.utime(path, (1000, 1000))
    return path


@pytest.fixture
def remote(monkeypatch):
    """Give a filesystem in memory behind mock://bucket, with a file of ten bytes."""
    mock = fs._MockFileSystem()
    with mock.open_output_stream("clip.mp4") as stream:
        stream.write(b"0123456789")
    monkeypatch.setattr(filesystem, "_connect", lambda connection: (mock, ""))


def test_parts_are_read(clip):
    """The listed version: from any place."""
    with open_file(clip, size_bytes=10, modified_at=EPOCH + timedelta(seconds=1000)) as file:
        file.seek(4)
        assert file.read(3) == b"456"
    assert file.closed


@pytest.mark.parametrize("change", [{"size_bytes": 11}, {"modified_at": EPOCH}])
def test_another_version_is_refused(clip, change):
    """Before anything is read."""
    with pytest.raises(MediaChangedError), open_file(clip, **change):
        pytest.fail("it was opened")


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"01234567890"), os.utime])
def test_a_change_while_it_is_read_is_noticed(clip, change):
    """At the end: what was read may be of two versions."""
    with pytest.raises(MediaChangedError), open_file(clip):
        change(clip)


def _touch_and_raise(clip):
    os.utime(clip)
    raise ValueError("mine")


def test_an_error_of_the_reader_comes_through(clip):
    """What was wrong first is told, and the file is closed."""
    with pytest.raises(ValueError, match="mine"), open_file(clip) as file:
        _touch_and_raise(clip)
    assert file.closed


def test_files_that_are_not_there_or_none(clip, tmp_path):
    """A missing one, a folder, and a link where links aren't followed."""
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    for path, error in (
        (tmp_path / "no", MediaNotFoundError),
        (tmp_path, UnreadableMediaError),
        (link, UnreadableMediaError),
    ):
        with pytest.raises(error), open_file(path):
            pytest.fail("it was opened")
    with open_file(link, follow_symlinks=True) as file:
        assert file.read(2) == b"01"


def test_remote_files_are_read_in_parts(remote):
    """By pyarrow, with the same checks of the size."""
    with open_file("mock://bucket/clip.mp4", size_bytes=10) as file:
        file.seek(8)
        assert file.read() == b"89"
    with pytest.raises(MediaChangedError), open_file("mock://bucket/clip.mp4", size_bytes=9):
        pytest.fail("it was opened")
    with pytest.raises((MediaNotFoundError, UnreadableMediaError)), open_file("mock://bucket/no.mp4"):
        pytest.fail("it was opened")
