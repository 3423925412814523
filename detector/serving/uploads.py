"""A picture as people send one: the body itself, or one file of a form.

Owns multipart forms, read in memory. Refuses forms with no file or several, and parts without end.
"""

import logging
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from detector.serving.refusals import Refusal, refuse_request

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_PARTS = 16
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it tells of bytes that strangers sent


def read_upload(body: bytes, content_type: str) -> bytes:
    """Give the picture's bytes: the form's one file where ``content_type`` says so, else the body.

    Raises the 400 ``Refusal`` of a form without one file. A field without a file name counts only where it is
    the form's only part.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return body
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise refuse_request("the form has no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError):
        raise refuse_request("the form can't be read") from None
    if parts.open or not parts.found:
        raise refuse_request("the form ends too early")
    files = [content for is_file, content in parts.found if is_file] or [
        content for _, content in parts.found if len(parts.found) == 1
    ]
    if len(files) != 1:
        raise refuse_request(f"the form has {len(files)} files: send one picture a request")
    return bytes(files[0])


class _Parts:
    """What the parser tells, kept: each part's content, and whether it has a file name."""

    def __init__(self) -> None:
        self.found: list[tuple[bool, bytearray]] = []
        self.open = False
        self._name, self._value = bytearray(), bytearray()
        self._is_file = False

    def callbacks(self) -> "MultipartCallbacks":
        """Give what the parser is to call."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) == _MAX_PARTS:
            raise Refusal(413, "BodyTooLarge", f"the form has more than {_MAX_PARTS} parts")
        self.open, self._is_file = True, False

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(bytes(self._value))[1]
        self._name, self._value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        self.found.append((self._is_file, bytearray()))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1][1].extend(data[start:end])

    def _end(self) -> None:
        self.open = False
