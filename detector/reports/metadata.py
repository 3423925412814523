"""Pictures without what else their files say: places, comments, names, previews. The pixels' bytes stay.

Owns which parts of each format are pixels, colour and orientation: those stay, all others go. Refuses files
that aren't put together as their format says.
"""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, ImageOps

_ORIENTATION = 274
_EXIF = b"Exif\0\0"
_MARK, _SCAN, _END = 0xFF, 0xDA, 0xD9
_JPEG_COLOUR = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_PNG_SHOWN = {
    b"tRNS",
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"iCCP",
    b"sBIT",
    b"bKGD",
    b"pHYs",
    b"acTL",
    b"fcTL",
    b"fdAT",
}
_WEBP_SHOWN = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
_WEBP_HAS_EXIF, _WEBP_HAS_XMP = 0x08, 0x04
_GIF_PICTURE, _GIF_END = 0x2C, 0x3B
_GIF_ANIMATION = {b"NETSCAPE2.0", b"ANIMEXTS1.0"}


def strip_metadata(content: bytes, media_type: str) -> bytes:
    """Give an encoded picture without its metadata; its orientation stays, AVIF becomes WebP.

    ``media_type`` is image/jpeg, png, webp, gif, bmp or avif. Raises ``ValueError`` for a damaged file.
    """
    parts = {"image/jpeg": _strip_jpeg, "image/png": _strip_png, "image/gif": _strip_gif}.get(media_type)
    try:
        if parts is not None:
            return b"".join(parts(content))
        if media_type == "image/webp":
            return _strip_webp(content)
        return _convert(content) if media_type == "image/avif" else content
    except (IndexError, struct.error, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("the file isn't put together as its format says") from error


def _strip_jpeg(content: bytes) -> Iterator[bytes]:
    yield content[:2] + _write_jpeg_exif(content)
    place = 2
    while True:
        while content[place + 1] == _MARK:  # fill bytes
            place += 1
        marker = content[place + 1]
        if content[place] != _MARK or marker == _END:
            yield b"\xff\xd9"
            return
        end = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
        if marker == _SCAN:
            end = _find_scan_end(content, end)
        is_application = 0xE0 <= marker <= 0xEF or marker == 0xFE  # noqa: PLR2004 (APP0 to APP15, COM)
        beginning = _JPEG_COLOUR.get(marker)
        if not is_application or (beginning and content.startswith(beginning, place + 4)):
            yield content[place:end]
        place = end


def _find_scan_end(content: bytes, place: int) -> int:
    while True:
        place = content.index(b"\xff", place)
        if content[place + 1] != 0 and not 0xD0 <= content[place + 1] <= 0xD7:  # noqa: PLR2004 (stuffing, restarts)
            return place
        place += 2


def _write_jpeg_exif(content: bytes) -> bytes:
    exif = _write_exif(content)
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif if exif else b""


def _write_exif(content: bytes) -> bytes:
    """Write EXIF that tells the orientation alone; nothing where the picture stands upright."""
    with Image.open(io.BytesIO(content)) as image:
        if image.format == "PNG":
            image.load()  # its EXIF may follow its pixels
        try:
            orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # noqa: BLE001 (hostile EXIF raises any class, and the picture is still one)
            return b""
    if orientation not in range(2, 9):
        return b""
    return _EXIF + struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def _strip_png(content: bytes) -> Iterator[bytes]:
    yield content[:8]
    place, exif = 8, _write_exif(content).removeprefix(_EXIF)
    while True:
        length, name = struct.unpack_from(">I4s", content, place)
        chunk = content[place : place + length + 12]
        if name == b"IDAT" and exif:
            yield (
                struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
            )
            exif = b""
        if name[:1].isupper() or name in _PNG_SHOWN:
            yield chunk
        if name == b"IEND":
            return
        place += len(chunk)


def _strip_webp(content: bytes) -> bytes:
    chunks, place, exif = [], 12, _write_exif(content).removeprefix(_EXIF)
    end = 8 + struct.unpack_from("<I", content, 4)[0]
    while place < end:
        name, length = struct.unpack_from("<4sI", content, place)
        chunk = bytearray(content[place : place + 8 + length + length % 2])
        if name == b"VP8X":
            chunk[8] = chunk[8] & ~(_WEBP_HAS_EXIF | _WEBP_HAS_XMP) | (_WEBP_HAS_EXIF if exif else 0)
        if name in _WEBP_SHOWN:
            chunks.append(bytes(chunk))
        place += len(chunk)
    if exif:
        chunks.append(struct.pack("<4sI", b"EXIF", len(exif)) + exif)
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _strip_gif(content: bytes) -> Iterator[bytes]:
    place = 13 + _count_palette_bytes(content[10])
    yield content[:place]
    while content[place] != _GIF_END:
        start, kind = place, content[place : place + 2]
        if kind[0] == _GIF_PICTURE:  # a picture: its head, palette and least code size
            place += 10 + _count_palette_bytes(content[place + 9]) + 1
        else:
            place += 2
        name = content[place + 1 : place + 12]
        while content[place]:
            place += 1 + content[place]
        place += 1
        if kind not in (b"\x21\xfe", b"\x21\x01", b"\x21\xff") or name in _GIF_ANIMATION:
            yield content[start:place]
    yield b"\x3b"


def _count_palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _convert(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image)
        file, options = io.BytesIO(), {"exif": b"", "xmp": b"", "quality": 90}
        upright.save(file, "WEBP", **options)
    return file.getvalue()
