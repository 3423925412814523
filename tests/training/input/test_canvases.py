"""Canvases as the exported model makes them, and where they are kept."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from detector.errors import SettingsError
from detector.training.export.letterboxing import BORDER as EXPORTED_BORDER
from detector.training.export.letterboxing import letterbox_pictures
from detector.training.input import canvases as module
from detector.training.input.canvases import BORDER, Canvases, decode_canvas
from detector.training.input.examples import Example


def make_example(path, size_wh=(120, 90)):
    """Make an example without boxes."""
    return Example(path.name, path, *size_wh, (), "0" * 64)


@pytest.fixture
def examples(draw_folder):
    """Give three drawn pictures."""
    folder = draw_folder(3)
    return [make_example(path) for path in sorted(folder.glob("*.png"))]


def encode(pixels, **options):
    """Encode as JPEG."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95, **options)
    return content.getvalue()


@pytest.mark.data
def test_photos_look_as_the_exported_model_sees_them(data_pack):
    """Mean difference below a level on real photos, shrunk and letterboxed; the border is the same."""
    for path in sorted((data_pack / "datasets/raccoon/images").glob("*.jpg"))[:12]:
        content = path.read_bytes()
        canvas = decode_canvas(content, canvas_px=320, max_pixels=10**8)
        picture = module.decode_image(content, max_pixels=10**8).pixels
        exported = letterbox_pictures(picture[None], 320)[0].numpy()
        assert np.abs(canvas - exported).mean() < 0.5, path.name
        assert np.abs(canvas - exported).max() < 3, path.name


@pytest.mark.parametrize("hw", [(400, 300), (50, 333), (96, 96), (30, 20)])
def test_noise_looks_as_the_exported_model_sees_it(hw):
    """The hardest picture to resize, shrunk and enlarged."""
    pixels = np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    canvas = decode_canvas(content.getvalue(), canvas_px=96, max_pixels=10**6)
    exported = letterbox_pictures(pixels[None], 96)[0].numpy()
    assert np.abs(canvas - exported).max() < 2
    assert EXPORTED_BORDER == BORDER


def test_exif_orientation_is_applied():
    """A picture stored lying on its side: the white half is on top when upright."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, :64] = 255
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise
    canvas = decode_canvas(encode(pixels, exif=exif), canvas_px=64, max_pixels=10**6)
    assert canvas[8, 32].min() > 250
    assert canvas[56, 32].max() < 5
    assert (canvas[:, :16] == BORDER).all()


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_each_cache_gives_the_same(examples, cache, tmp_path):
    """Whether asked once or twice."""
    kept = Canvases(examples, canvas_px=64, max_pixels=10**6, cache=cache, folder=tmp_path)
    for position in (2, 0, 2, 1):
        wanted = decode_canvas(examples[position].path.read_bytes(), canvas_px=64, max_pixels=10**6)
        assert np.array_equal(kept.read(position), wanted)


@pytest.mark.parametrize(("cache", "is_kept"), [("memory", True), ("disk", True), ("none", False)])
def test_a_picture_is_decoded_once_where_it_is_kept(examples, cache, is_kept, tmp_path):
    """Gone from the disk, it's still in the cache; without one it's missed by name."""
    kept = Canvases(examples, canvas_px=64, max_pixels=10**6, cache=cache, folder=tmp_path)
    before = kept.read(1).copy()
    examples[1].path.unlink()
    if is_kept:
        assert np.array_equal(kept.read(1), before)
    else:
        with pytest.raises(SettingsError, match=r"photo_01\.png could be decoded before .*MediaNotFound"):
            kept.read(1)


def test_the_disk_cache_leaves_no_file(examples, tmp_path):
    """Its file has no name: it ends with the process, however that ends."""
    folder = tmp_path / "run"
    folder.mkdir()
    kept = Canvases(examples, canvas_px=64, max_pixels=10**6, cache="disk", folder=folder)
    kept.read(0)
    assert list(folder.iterdir()) == []


def test_caches_without_room_are_refused(examples, tmp_path, monkeypatch):
    """Before anything is decoded, with what to do."""
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    with pytest.raises(SettingsError, match=r"take data\.cache disk or none"):
        Canvases(examples, canvas_px=64, max_pixels=10**6, cache="memory")
    monkeypatch.undo()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(SettingsError, match=r"No space left on device.*take data\.cache none"):
        Canvases(examples, canvas_px=64, max_pixels=10**6, cache="disk", folder=tmp_path)
