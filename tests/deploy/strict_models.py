"""The types of Azure's and cloud-init's own packages as schemas: unknown names and wrong types in a document."""

import importlib
from unittest import mock

import pydantic
import typing_extensions


def check_resource(package, type_name, body):
    """Check a body against the types of ``azure.mgmt.{package}``; what is unknown or of a wrong type raises."""
    types = importlib.import_module(f"azure.mgmt.{package}.types")
    # They name the enumerations for type checkers only.
    for name, kind in vars(importlib.import_module(f"azure.mgmt.{package}.models")).items():
        vars(types).setdefault(name, kind)
    _forbid_unknown(types)
    try:
        pydantic.TypeAdapter(getattr(types, type_name)).validate_python(body)
    except pydantic.ValidationError as error:
        # What the types inherit they call required, also what Azure itself fills in (etag, type).
        if not all(problem["type"] == "missing" for problem in error.errors()):
            raise


def check_cloud_config(document):
    """Check each key of a cloud-config against the modules that own it; what none of them takes raises."""
    # Below Python 3.12, pydantic takes only the backport's.
    with mock.patch("typing.TypedDict", typing_extensions.TypedDict):
        types = importlib.import_module("cloud_init_models")
    _forbid_unknown(types)
    modules = [kind for name, kind in vars(types).items() if name.startswith("Cc")]
    for key, value in document.items():
        owners = [module for module in modules if key in getattr(module, "__annotations__", {})]
        assert owners, f"no module of cloud-init takes {key}"
        for owner in owners:
            pydantic.TypeAdapter(owner).validate_python({key: value})


def _forbid_unknown(types):
    for kind in vars(types).values():
        if typing_extensions.is_typeddict(kind):
            kind.__pydantic_config__ = pydantic.ConfigDict(extra="forbid")


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
    yield from _compare_tree(models, _build_tree(kind), body, path)


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
