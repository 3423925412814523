"""Pictures in pages: the same pixels, the same way up, and nothing of what else their files said."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from detector.reports.metadata import strip_metadata
from detector.reports.pictures import Embedder, tell_media_type

SAID = b"CANARY"
KINDS = {
    "jpeg": ("JPEG", {"comment": SAID, "xmp": SAID}),
    "progressive": ("JPEG", {"progressive": True, "icc_profile": b"colour" * 20, "xmp": SAID}),
    "cmyk": ("JPEG", {}),
    "png": ("PNG", {}),
    "palette": ("PNG", {"transparency": 3}),
    "webp": ("WEBP", {"lossless": True, "xmp": SAID}),
    "animated": ("WEBP", {"save_all": True, "lossless": True, "xmp": SAID}),
    "gif": ("GIF", {"comment": SAID, "save_all": True, "loop": 0}),
    "bmp": ("BMP", {}),
}


def encode(kind, orientation):
    """Encode noise with EXIF, comments and something behind the end."""
    image_format, options = KINDS[kind]
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[274], exif[270] = orientation, SAID.decode()
    exif.get_ifd(0x8825).update({1: "N", 27: SAID})
    options = dict(options)
    if image_format in ("JPEG", "PNG", "WEBP"):
        options["exif"] = exif
    if image_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SAID.decode())
        text.add_itxt("XML:com.adobe.xmp", SAID.decode())
        options["pnginfo"] = text
    if "save_all" in options:
        options["append_images"] = [picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    mode = {"cmyk": "CMYK", "palette": "P", "gif": "P"}.get(kind)
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, image_format, **options)
    behind = b"" if image_format == "WEBP" else SAID
    return file.getvalue() + (behind if image_format != "BMP" else b"")


def show(content):
    """Show a picture as a browser does: all of its frames, upright."""
    with Image.open(io.BytesIO(content)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(ImageOps.exif_transpose(image).convert("RGBA")))
        return frames, image.info.get("icc_profile"), image.info.get("loop")


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_stay_and_words_go(kind, orientation):
    """Every frame, upright, with its colours and its loop."""
    content = encode(kind, orientation)
    assert SAID in content or kind == "bmp"
    stripped = strip_metadata(content, tell_media_type(content))
    assert SAID not in stripped
    (before, *facts), (after, *others) = show(content), show(stripped)
    assert facts == others
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_avif_becomes_webp():
    """Its parts can't be told apart as easily, so it's encoded anew."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274], exif[270] = 6, SAID.decode()
    Image.new("RGB", (20, 12), "red").save(file, "AVIF", exif=exif, xmp=SAID)
    assert SAID in file.getvalue()
    uri, why = Embedder().embed_content(file.getvalue())
    assert (uri[:16], why) == ("data:image/webp;", "")
    stripped = strip_metadata(file.getvalue(), "image/avif")
    assert SAID not in stripped
    assert show(stripped)[0][0].shape == (20, 12, 4)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bmp"])
def test_damaged_files_are_shown_whole_or_not(kind):
    """Whatever is cut off: a picture without words, or a reason; never another error."""
    content = encode(kind, 6)
    for end in range(8, len(content), 7):
        cut = content[:end]
        media_type = tell_media_type(cut)
        if media_type is None:
            continue
        with contextlib.suppress(ValueError):
            assert SAID not in strip_metadata(cut, media_type)
