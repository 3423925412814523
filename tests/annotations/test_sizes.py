"""Sizes by the header against the pictures that the decoder gives."""

import pytest

from detector.annotations.sizes import read_upright_size
from detector.errors import MediaError
from detector.media.decoding import decode_image


@pytest.mark.data
def test_the_header_tells_what_the_decoder_finds(data_pack):
    """All the odd pictures that can be decoded: turned, multi-page, 16 bits, CMYK."""
    compared = 0
    for path in sorted((data_pack / "images_odd").rglob("*")):
        try:
            decoded = decode_image(path.read_bytes(), max_pixels=120_000_000) if path.is_file() else None
        except MediaError:
            continue
        if decoded is not None:
            assert read_upright_size(path) == (decoded.width_px, decoded.height_px), path.name
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_has_no_size(tmp_path, content):
    """Neither has a file that is not there."""
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_upright_size(tmp_path / "a.jpg") is None
    assert read_upright_size(tmp_path / "gone.jpg") is None
