"""Escapes in the text format's strings.

Owns those of https://protobuf.dev/reference/protobuf/textformat-spec (string literals). Refuses any other.
"""

import re

_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))?", re.DOTALL
)
_SIMPLE = dict(zip("abfnrtv?'\"\\", b"\a\b\f\n\r\t\v?'\"\\", strict=True))


def resolve_escapes(text: str) -> bytes:
    r"""Give a string's bytes. Raises ``ValueError`` that shows an escape which means nothing.

    >>> resolve_escapes(r"\303\244\x41\n")
    b'\xc3\xa4A\n'
    """
    parts, at = [], 0
    for found in _ESCAPE.finditer(text):
        parts += [text[at : found.start()].encode(), _resolve(found)]
        at = found.end()
    return b"".join([*parts, text[at:].encode()])


def _resolve(found: re.Match[str]) -> bytes:
    octal, byte, short, long, simple = found.groups()
    if octal or byte:
        number = int(octal, 8) if octal else int(byte, 16)
        if number < 256:  # noqa: PLR2004 (bytes)
            return bytes([number])
    elif short or long:
        return chr(int(short or long, 16)).encode()
    elif simple in _SIMPLE:
        return bytes([_SIMPLE[simple]])
    raise ValueError(f"the escape {found[0]} means nothing")
