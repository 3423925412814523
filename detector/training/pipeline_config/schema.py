"""What a pipeline.config may hold: names, types and defaults of the TF Object Detection API's fields.

Owns the reading of ``schema.toml``, which stands for the API's own code; ``config_tree`` refuses by it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from detector.training.pipeline_config.scalars import Value, read_scalar
from detector.training.pipeline_config.text_proto import Scalar


@dataclass(frozen=True)
class FieldType:
    """What the API declares of one field; ``message`` or ``words`` (of an enum) where it has such a type."""

    name: str
    default: Value | None
    repeated: bool
    oneof: bool
    message: bool
    words: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """Every message's fields, by the message's name."""

    root: str
    extensible: frozenset[str]
    messages: Mapping[str, Mapping[str, FieldType]]


@cache
def read_schema() -> Schema:
    """Read ``schema.toml``."""
    text = files("detector.training.pipeline_config").joinpath("schema.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    messages = {
        message: {name: _read_type(given, content) for name, given in fields.items()}
        for message, fields in content["message"].items()
    }
    return Schema(content["root"], frozenset(content["extensible"]), messages)


def _read_type(given: str, content: Mapping[str, Mapping[str, Sequence[str]]]) -> FieldType:
    declared, _, default = given.partition(" = ")
    *marks, name = declared.split()
    words = tuple(content["enum"].get(name, ()))
    message = name in content["message"]
    value = None if message or not default else read_scalar(_write_default(name, default), name, words)
    return FieldType(name, value, "repeated" in marks, "oneof" in marks, message, words)


def _write_default(name: str, default: str) -> Scalar:
    if name == "string":
        return Scalar("string", default)
    return Scalar("word" if default[0].isalpha() else "number", default)
