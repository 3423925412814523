"""The demo's folder of pictures: formats, the turned picture, the broken ones, and reruns."""

from itertools import pairwise

import av
import pytest
from PIL import Image, UnidentifiedImageError

from detector.annotations.picture_files import write_demo_pictures


@pytest.fixture
def folder(tmp_path):
    """Give a folder of eight pictures and the two broken files."""
    write_demo_pictures(tmp_path, count=8, seed=0)
    return tmp_path


def list_files(folder):
    """List the files below a folder by name."""
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def test_formats_are_what_the_names_say(folder):
    """Each whole file opens as the format of its extension."""
    formats = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    whole = [path for name, path in list_files(folder).items() if name.startswith("shapes_")]
    assert len(whole) == 8
    assert {path.suffix for path in whole} == set(formats)
    for path in whole:
        assert Image.open(path).format == formats[path.suffix]


def test_one_picture_lies_on_its_side(folder):
    """Exactly the sixth has EXIF orientation 6."""
    turned = [
        name
        for name, path in list_files(folder).items()
        if name.startswith("shapes_") and Image.open(path).getexif().get(0x0112) == 6
    ]
    assert turned == ["shapes_006.jpg"]


def test_broken_files_do_not_decode(folder):
    """One file is cut short, the other empty."""
    files = list_files(folder)
    with pytest.raises(OSError, match="truncated"):
        Image.open(files["cut_short.jpg"]).load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(files["empty.jpg"])


def test_second_run_writes_nothing(folder):
    """A rerun leaves every file's modification time alone."""
    before = {path: path.stat().st_mtime_ns for path in list_files(folder).values()}
    assert write_demo_pictures(folder, count=8, seed=0) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_changed_file_is_mended(folder):
    """A rerun writes the one file that differs."""
    list_files(folder)["shapes_001.jpg"].write_bytes(b"something else")
    assert write_demo_pictures(folder, count=8, seed=0) == 1


def test_the_clip_is_six_seconds(folder):
    """Sixty frames of 640 x 360, ten a second; no two alike side by side."""
    with av.open(str(list_files(folder)["walk_along_shapes.mp4"])) as container:
        frames = [(frame.time, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    assert [time_s for time_s, _ in frames] == pytest.approx([n / 10 for n in range(60)])
    assert all((one[1] != other[1]).any() for one, other in pairwise(frames))
