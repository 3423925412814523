"""Label maps: which name a class_id has, read from pbtxt, classes.txt or JSON, written as pbtxt.

Owns the three file formats. Refuses ids given twice, ids below 1 in a pbtxt, and files of no entries;
an id without a name is shown as ``class_N``.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from detector.errors import LabelMapError

_FORMATS = "a .pbtxt label map, a .txt with one name per line (first line id 1), or .json"


@dataclass(frozen=True)
class LabelMap:
    """The names of class ids; gaps are allowed.

    >>> LabelMap({1: "person"}).name_of(1), LabelMap({1: "person"}).name_of(7)
    ('person', 'class_7')
    """

    names: Mapping[int, str] = field(default_factory=dict)

    def name_of(self, class_id: int) -> str:
        """Name a class; one without a name is ``class_N``."""
        return self.names.get(class_id, f"class_{class_id}")

    def digest(self) -> str:
        """Compute the SHA-256 of the names, whatever file they came from."""
        canonical = json.dumps(sorted(self.names.items()), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def read_label_map(path: Path) -> LabelMap:
    """Read a label map; its format is told by the file's extension.

    pbtxt: ``item`` messages with id and display_name (preferred) or name, as the TF Object Detection
    API writes them. txt: the name on line n has id n. JSON: a list of names (from id 1), an object from
    id to name, or a list of objects with id and name (COCO's categories, also inside a COCO file).
    Raises ``LabelMapError`` that names the file and what is wrong in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelMapError(f"label map {path} can't be read as UTF-8 text: {error}") from error
    try:
        if path.suffix.lower() in {".pbtxt", ".prototxt"}:
            entries = _parse_pbtxt(text)
        elif path.suffix.lower() == ".json":
            entries = _parse_json(json.loads(text))
        elif path.suffix.lower() in {".txt", ".names"}:
            entries = [(n, name.strip()) for n, name in enumerate(text.splitlines(), 1) if name.strip()]
        else:
            raise LabelMapError(f"label map {path}: unknown extension; expected {_FORMATS}")
        return LabelMap(_collect(entries))
    except (text_format.ParseError, ValueError, TypeError, KeyError) as error:
        raise LabelMapError(f"label map {path}: {error}; expected {_FORMATS}") from error


def write_label_map(labels: LabelMap, path: Path) -> None:
    """Write a label map in the TF Object Detection API's pbtxt format."""
    items = [
        f"item {{\n  id: {key}\n  name: {json.dumps(name)}\n}}\n"
        for key, name in sorted(labels.names.items())
    ]
    path.write_text("".join(items), encoding="utf-8")


def _parse_pbtxt(text: str) -> list[tuple[int, str]]:
    label_map = text_format.Parse(text, _build_message_class()(), allow_unknown_field=True)
    entries = []
    for item in label_map.item:
        if item.id < 1:
            raise ValueError(f"id {item.id} of {item.name or item.display_name!r} is below 1")
        entries.append((item.id, item.display_name or item.name))
    return entries


def _parse_json(content: Any) -> list[tuple[int, str]]:  # noqa: ANN401 (any JSON value)
    if isinstance(content, dict) and isinstance(content.get("categories"), list):
        content = content["categories"]
    if isinstance(content, dict):
        return [(int(class_id), name) for class_id, name in content.items()]
    if not isinstance(content, list):
        raise TypeError(f"found {type(content).__name__}")
    if all(isinstance(entry, str) for entry in content):
        return list(enumerate(content, 1))
    return [(int(entry["id"]), entry["name"]) for entry in content]


def _collect(entries: Iterable[tuple[int, str]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for class_id, name in entries:
        if not isinstance(name, str):
            raise TypeError(f"the name of id {class_id} is no text: {name!r}")
        if class_id in names:
            raise ValueError(f"id {class_id} is given twice: {names[class_id]!r} and {name!r}")
        if name:
            names[class_id] = name
    if not names:
        raise ValueError("there is no entry in it")
    return names


def _build_message_class() -> Any:  # noqa: ANN401 (a class made at run time)
    # The fields of object_detection/protos/string_int_label_map.proto that carry a name.
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="label_map.proto", package="detector", syntax="proto2")
    item = file.message_type.add(name="Item")
    item.field.add(name="name", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    item.field.add(name="id", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    item.field.add(name="display_name", number=3, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    label_map = file.message_type.add(name="LabelMap")
    label_map.field.add(
        name="item", number=1, type=kinds.TYPE_MESSAGE, type_name=".detector.Item", label=kinds.LABEL_REPEATED
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("detector.LabelMap"))
