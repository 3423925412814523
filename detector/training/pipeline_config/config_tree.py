"""A pipeline.config as a tree of checked values, each with its path and line.

Owns the check of a text proto against the schema. Refuses fields that the TF Object Detection API doesn't
have, values of another type, and contradictions, all of them at once.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from detector.errors import SettingsError
from detector.training.pipeline_config.scalars import Value, read_scalar
from detector.training.pipeline_config.schema import FieldType, read_schema
from detector.training.pipeline_config.text_proto import Field, Scalar


@dataclass(eq=False)
class Node:
    """One field of a config: its path and line, its declared message, and a value or children.

    ``owner`` is the message that declares it, ``type`` its own message, or empty for a scalar.
    """

    path: str
    name: str
    line: int
    owner: str
    type: str
    value: Value | None = None
    children: list["Node"] = field(default_factory=list)

    def find(self, *names: str) -> "Node | None":
        """Find the last child of that name, and its child in turn."""
        node: Node | None = self
        for name in names:
            node = next((c for c in reversed(node.children) if c.name == name), None) if node else None
        return node

    def find_all(self, name: str) -> list["Node"]:
        """Find all children of that name."""
        return [child for child in self.children if child.name == name]

    def only(self, *names: str) -> "Node | None":
        """Find the first child that has one of the names, or the first of all."""
        return next((child for child in self.children if not names or child.name in names), None)

    def get(self, name: str) -> Value | None:
        """Give the value of a scalar child, or what the API takes where it isn't given."""
        child = self.find(name)
        return child.value if child else read_schema().messages[self.type][name].default

    def number(self, name: str) -> float:
        """Give the value of a numeric child, or its default (0 where there is none)."""
        return float(self.get(name) or 0)

    def leaves(self) -> Iterator["Node"]:
        """Give the nodes below, or this one, that have no children."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def check_fields(fields: Sequence[Field], source: str) -> Node:
    """Make the tree of a config's values.

    Raises ``SettingsError`` that names every unknown field, wrong value and contradiction by path and line.
    """
    problems: list[str] = []
    root = Node("", "", 1, "", read_schema().root)
    _add_children(root, fields, problems)
    if problems:
        raise SettingsError(f"{source}: {'; '.join(problems)}. Nothing was written: correct it and run again")
    return root


def _add_children(parent: Node, fields: Sequence[Field], problems: list[str]) -> None:
    declared = read_schema().messages[parent.type]
    oneof: Node | None = None
    for given in fields:
        node = Node(_join(parent, given.name), given.name, given.line, parent.type, "")
        known = declared.get(given.name)
        if known is None:
            _add_unknown(parent, node, given, problems)
            continue
        if known.repeated:
            node.path += f"[{len(parent.find_all(given.name))}]"
        elif parent.find(given.name):
            problems.append(f"line {given.line}: {node.path} is given twice")
        if known.oneof and oneof is not None and oneof.name != given.name:
            problems.append(f"line {given.line}: {node.path} and {oneof.path} exclude each other")
        oneof = node if known.oneof else oneof
        parent.children.append(node)
        _fill(node, known, given, problems)


def _fill(node: Node, known: FieldType, given: Field, problems: list[str]) -> None:
    try:
        if known.message and not isinstance(given.value, Scalar):
            node.type = known.name
            _add_children(node, given.value, problems)
        else:
            node.value = read_scalar(given.value, known.name, known.words)
    except ValueError as error:
        problems.append(f"line {given.line}: {node.path}: {error}")


def _add_unknown(parent: Node, node: Node, given: Field, problems: list[str]) -> None:
    if given.name.startswith("[") and parent.type in read_schema().extensible:
        node.value = describe_value(given.value)
        parent.children.append(node)
        return
    near = difflib.get_close_matches(given.name, read_schema().messages[parent.type], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    problems.append(f"line {given.line}: unknown field {node.path}: {parent.type} has none such{hint}")


def _join(parent: Node, name: str) -> str:
    return f"{parent.path}.{name}" if parent.path else name


def describe_value(value: Scalar | Sequence[Field]) -> str:
    """Write a value on one line.

    >>> describe_value((Field("height", 1, Scalar("number", "300")),))
    '{height: 300}'
    """
    if isinstance(value, Scalar):
        return value.text
    return "{" + " ".join(f"{child.name}: {describe_value(child.value)}" for child in value) + "}"
