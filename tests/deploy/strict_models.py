"""Azure's own client models as a schema: unknown names, missing ones and wrong types of a resource's body."""

import importlib

import pydantic
import typing_extensions


def check_typed_dict(module_name, type_name, body):
    """Check a body against a TypedDict of a generated client; what is unknown or of a wrong type raises."""
    module = importlib.import_module(module_name)
    for kind in vars(module).values():
        if typing_extensions.is_typeddict(kind):
            kind.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", strict=False)
    pydantic.TypeAdapter(getattr(module, type_name)).validate_python(body)


def find_problems(module_name, type_name, body, path=""):
    """List what a body has that a model of the older clients has not, lacks, or has of another type."""
    models = importlib.import_module(module_name)
    return [*_compare(models, type_name, body, path or type_name)]


def _compare(models, type_name, body, path):
    if type_name.startswith("["):
        if not isinstance(body, list):
            yield f"{path} is no list"
            return
        for number, item in enumerate(body):
            yield from _compare(models, type_name[1:-1], item, f"{path}[{number}]")
    elif type_name.startswith("{"):
        for key, item in body.items():
            yield from _compare(models, type_name[1:-1], item, f"{path}.{key}")
    elif type_name in _PLAIN:
        if not isinstance(body, _PLAIN[type_name]) or (isinstance(body, bool) and type_name != "bool"):
            yield f"{path} is {body!r}: no {type_name}"
    elif type_name != "object":
        yield from _compare_model(models, getattr(models, type_name), body, path)


_PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool, "iso-8601": str}


def _compare_model(models, kind, body, path):
    if not hasattr(kind, "_attribute_map"):  # an enumeration
        if body not in [member.value for member in kind]:
            yield f"{path} is {body!r}: none of {[member.value for member in kind]}"
        return
    tree = _build_tree(kind)
    yield from _compare_tree(models, tree, body, path)


def _build_tree(kind):
    """Unfold keys such as properties.osType into a tree; a leaf is (type, required, read-only)."""
    tree = {}
    for name, described in kind._attribute_map.items():
        rules = kind._validation.get(name, {})
        *folders, last = described["key"].replace(r"\.", "\0").split(".")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = (described["type"], rules.get("required", False), rules.get("readonly", False))
    return tree


def _compare_tree(models, tree, body, path):
    if not isinstance(body, dict):
        yield f"{path} is {body!r}: no mapping"
        return
    for key in body.keys() - tree.keys():
        yield f"{path}.{key} is unknown"
    for key, described in tree.items():
        if isinstance(described, dict):
            yield from _compare_tree(models, described, body.get(key, {}), f"{path}.{key}")
        elif key in body:
            yield from _compare(models, described[0], body[key], f"{path}.{key}")
        elif described[1] and not described[2]:
            yield f"{path}.{key} is missing"
