"""A hierarchy of classes as a file: which class stands above which.

Owns both forms. Refuses files that are neither. A class that the model doesn't know is passed over: what
stands above it stands above what is below it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from detector.errors import SettingsError

_EXPECTED = 'Open Images\' {"LabelName": ..., "Subcategory": [...]}, or {"class": ["class above it", ...]}'


def read_parents(path: Path, names_to_ids: Mapping[str, int]) -> dict[int, list[int]]:
    """Read the class ids right above each class id, as ``detector.evaluation.hierarchy`` takes them.

    JSON: Open Images' own (``LabelName``, ``Subcategory`` and ``Part``, nested; source: its
    bbox_labels_600_hierarchy.json, whose names are /m/... identifiers), or an object from a class's name to
    the names above it. Parts are no kinds and don't count. Raises ``SettingsError`` by name.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        is_nested = isinstance(content, dict) and "LabelName" in content
        pairs = list(_walk(content) if is_nested else _list_pairs(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(f"hierarchy {path}: {type(error).__name__}; expected {_EXPECTED}") from error
    above: dict[str, list[str]] = {}
    for child, parent in pairs:
        above.setdefault(child, []).append(parent)
    parents = {
        class_id: sorted(_find_known(name, above, names_to_ids, {name}))
        for name, class_id in names_to_ids.items()
    }
    if not any(parents.values()):
        raise SettingsError(f"hierarchy {path}: none of its classes has a name of the model's label map")
    return {class_id: ids for class_id, ids in parents.items() if ids}


def _walk(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for child in node.get("Subcategory", []):
        yield str(child["LabelName"]), str(node["LabelName"])
        yield from _walk(child)


def _list_pairs(content: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    for child, parents in content.items():
        if not isinstance(parents, list):
            raise TypeError(child)
        yield from ((child, str(parent)) for parent in parents)


def _find_known(
    name: str, above: Mapping[str, list[str]], names_to_ids: Mapping[str, int], seen: set[str]
) -> set[int]:
    found = set()
    for parent in above.get(name, []):
        if parent in names_to_ids:
            found.add(names_to_ids[parent])
        elif parent not in seen:
            found |= _find_known(parent, above, names_to_ids, seen | {parent})
    return found
