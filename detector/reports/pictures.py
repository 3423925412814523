"""Picture files as data URIs, where a browser can show them.

Owns what is embedded and what is not: the format by the file's first bytes, the sizes, and whether the
file is still the one that was scored. Embeds no metadata: who gets the page gets the picture, not its place.
"""

import base64
from pathlib import Path

from markupsafe import Markup

from detector.reports.metadata import strip_metadata

MAX_PICTURE_BYTES = 4 * 1024 * 1024
MAX_PAGE_BYTES = 48 * 1024 * 1024


class Embedder:
    """Embeds pictures until the page is as large as it may be."""

    def __init__(self) -> None:
        self._left_bytes = MAX_PAGE_BYTES

    def embed(self, media_uri: str, size_bytes: int) -> tuple[Markup | None, str]:
        """Return the data URI of a local picture of ``size_bytes``, or None and why there is none."""
        path = Path(media_uri)
        if not path.is_absolute():
            return None, "not a local file"
        if size_bytes > min(MAX_PICTURE_BYTES, self._left_bytes):
            return None, "too large to embed"
        try:
            content = path.read_bytes()
        except OSError as error:
            return None, f"can't be read now: {error.strerror}"
        if len(content) != size_bytes:
            return None, "changed since it was scored"
        return self.embed_content(content)

    def embed_content(self, content: bytes) -> tuple[Markup | None, str]:
        """Return the data URI of an encoded picture, or None and why there is none."""
        if len(content) > self._left_bytes:
            return None, "too large to embed"
        media_type = tell_media_type(content)
        if media_type is None:
            return None, "a format that browsers don't show"
        try:
            shown = strip_metadata(content, media_type)
        except ValueError as error:
            return None, str(error)
        self._left_bytes -= len(shown)
        encoded = base64.b64encode(shown).decode()
        return Markup("data:{};base64,{}").format(tell_media_type(shown), encoded), ""


def tell_media_type(content: bytes) -> str | None:
    """Tell the media type of a picture that browsers show, by its first bytes; None for any other.

    >>> tell_media_type(b"GIF89a..."), tell_media_type(b"<svg>")
    ('image/gif', None)
    """
    if content[:4] == b"RIFF":
        return "image/webp" if content[8:12] == b"WEBP" else None
    if content[4:8] == b"ftyp":
        return "image/avif" if content[8:12] in {b"avif", b"avis"} else None
    beginnings = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n": "png", b"GIF8": "gif", b"BM": "bmp"}
    for beginning, name in beginnings.items():
        if content.startswith(beginning):
            return f"image/{name}"
    return None
