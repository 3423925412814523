"""The text format of protocol buffers, read without any message's definition.

Owns the syntax (https://protobuf.dev/reference/protobuf/textformat-spec) and the line of every field. Refuses
what breaks it by line; knows no field's meaning, so that a field of any name is kept and can be named.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, NoReturn

from detector.errors import SettingsError
from detector.training.pipeline_config.text_escapes import resolve_escapes

MAX_DEPTH = 100  # as protocol buffers' own reader
_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n\f\v]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>-?[ \t]*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?)(?![\w.])
          | -[ \t]*(?:inf|infinity|nan)\b)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<mark>[{}<>\[\]:,;/.-])""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class Scalar:
    """A value as it is written; a string without its quotes, its escapes resolved."""

    kind: Literal["string", "number", "word"]
    text: str


@dataclass(frozen=True)
class Field:
    """One value of one field: an extension's name is in brackets, each value of a list is a field."""

    name: str
    line: int
    value: "Scalar | tuple[Field, ...]"


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def read_text_proto(text: str, source: str) -> tuple[Field, ...]:
    """Read the fields of a message in text format, in their order.

    ``source`` names the text in messages. Raises ``SettingsError`` with the line where it is no text format.

    >>> read_text_proto("ssd { num_classes: 2 }", "example")[0].value[0].value.text
    '2'
    """
    return _Reader(text, source).read_fields("", 0)


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._tokens = list(self._split(text))
        self._next = 0

    def read_fields(self, closing: str, depth: int) -> tuple[Field, ...]:
        fields: list[Field] = []
        while not self._take(closing):
            if self._token.kind == "end":
                self._fail(f"the text ends before {closing!r}")
            fields += self._read_field(depth)
            if self._token.text in {",", ";"}:
                self._next += 1
        return tuple(fields)

    def _read_field(self, depth: int) -> Iterator[Field]:
        line, name = self._token.line, self._read_name()
        colon = self._take(":")
        if not self._take("["):
            yield Field(name, line, self._read_value(depth, scalar=colon))
        elif not self._take("]"):
            while True:
                line = self._token.line
                yield Field(name, line, self._read_value(depth, scalar=True))
                if self._take("]"):
                    return
                self._expect(",")

    def _read_name(self) -> str:
        if not self._take("["):
            return self._expect("word")
        parts = []
        while not self._take("]"):
            if self._token.kind not in {"word", "number", "mark"}:
                self._fail("an extension's name ends in ]")
            parts.append(self._token.text)
            self._next += 1
        return f"[{''.join(parts)}]"

    def _read_value(self, depth: int, *, scalar: bool) -> Scalar | tuple[Field, ...]:
        if self._token.text in _CLOSING and self._token.kind == "mark":
            if depth >= MAX_DEPTH:
                self._fail(f"messages are nested deeper than {MAX_DEPTH}")
            closing = _CLOSING[self._expect("mark")]
            return self.read_fields(closing, depth + 1)
        if not scalar:
            self._fail("a colon and a value, or { belong here")
        if self._token.kind == "string":
            return Scalar("string", self._read_string())
        if self._token.kind == "word":
            return Scalar("word", self._expect("word"))
        return Scalar("number", "".join(self._expect("number").split()))

    def _read_string(self) -> str:
        content = b""
        while self._token.kind == "string":
            try:
                content += resolve_escapes(self._token.text[1:-1])
            except (ValueError, OverflowError) as error:
                self._fail(str(error))
            self._next += 1
        try:
            return content.decode()
        except UnicodeDecodeError:
            self._fail("the text in quotes is not UTF-8")

    def _take(self, text: str) -> bool:
        # Without a text: the end.
        found = self._token.kind == "end" if not text else self._token[:2] == ("mark", text)
        self._next += found and bool(text)
        return found

    def _expect(self, wanted: str) -> str:
        token = self._token
        if wanted not in {token.kind, token.text}:
            self._fail(f"expected {wanted}")
        self._next += 1
        return token.text

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _fail(self, why: str) -> NoReturn:
        token = self._token
        at = "the end" if token.kind == "end" else repr(token.text)
        raise SettingsError(f"{self._source}, line {token.line}: {why}, at {at}; it is no text proto")

    def _split(self, text: str) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                where = f"{self._source}, line {line}"
                raise SettingsError(f"{where}: {text[at : at + 20]!r} is no text proto; correct it there")
            if found.lastgroup != "skip":
                yield _Token(str(found.lastgroup), found[0], line)
            line += found[0].count("\n")
            at = found.end()
        yield _Token("end", "", line)
