"""The check of a model's files before TensorFlow loads them: a model is code, and only known code runs.

Owns what a model may hold: operations of ``op_list.toml`` alone, in every graph and function; nothing that
Python classes of somebody else restore; no file outside its folder. Reads files as messages and starts
nothing. Refuses by the operation's name and place. It doesn't bound what a model may compute or keep in
memory, nor judge what it finds.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import meta_graph_pb2

from detector.errors import ModelError
from detector.models.op_list import explain_refusal, list_allowed
from detector.models.protobufs import list_called, read_graph, read_meta_graphs
from detector.models.savers import SAVER_OPS, find_misused_saver_ops
from detector.models.signature import SAVED_MODEL

_SHOWN = 5
_SHOWN_CHARACTERS = 80
_OTHER_FORMS = ("saved_model.pbtxt", "saved_model.cpb")
_ASSETS = "saved_model_assets"  # TF1's collection of them
_STREAMS = {b"", b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"}
# As TensorFlow names its operations; functions have names like __inference_f_12 or while_body_3.
_OPERATION_NAME = re.compile(r"_*[A-Z][A-Za-z0-9]*|.*>.*", re.DOTALL)
_OUTSIDE_SAVER = "only the model's own saver may touch checkpoint files"


@dataclass(frozen=True)
class _Refusal:
    """One thing that a model may not hold; ``name`` is what ``model.trust_ops`` may list, if anything."""

    name: str | None
    what: str
    place: str
    why: str

    def __str__(self) -> str:
        return f"{_shorten(self.what)} at {_shorten(self.place, 3 * _SHOWN_CHARACTERS)}: {self.why}"


def check_model(located: Path, trust_ops: Collection[str] = ()) -> None:
    """Refuse a model that holds anything but what detectors are known to need.

    ``located`` is a SavedModel folder or a frozen graph file; ``trust_ops`` names operations, and
    registered classes, to accept although they are refused by default. Raises ``ModelError`` that names
    each operation, its node and function; nothing of the model has run then.
    """
    if located.is_dir():
        _raise_any(located, list(_check_files(located)))
        found = [
            refusal
            for meta_graph in read_meta_graphs(located / SAVED_MODEL)
            for refusal in _check_meta_graph(meta_graph)
        ]
    else:
        found = list(_check_graph(read_graph(located), list_allowed()))
    _raise_any(located, [refusal for refusal in found if refusal.name not in trust_ops])


def check_digest(found: str, pinned: str | None) -> None:
    """Refuse a model whose digest isn't the ``pinned`` one of ``model.sha256``; None accepts all.

    Raises ``ModelError`` that gives both.
    """
    if pinned is not None and found != pinned.lower():
        raise ModelError(
            f"the model's digest is {found}, but model.sha256 is {pinned}: this is another model than the "
            "one that was pinned; fetch that one again, or pin this one if it is meant"
        )


def _check_files(folder: Path) -> Iterator[_Refusal]:
    for name in _OTHER_FORMS:
        if (folder / name).exists():
            yield _Refusal(
                None, name, "the folder", f"a second model beside {SAVED_MODEL}; remove one of them"
            )
    root = os.path.realpath(folder)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and (path.is_dir() or not Path(os.path.realpath(path)).is_relative_to(root)):
            place = path.relative_to(folder).as_posix()
            why = "it leads out of the model's folder, or to a folder; copy the model with cp -rL"
            yield _Refusal(None, "symbolic link", place, why)


def _check_meta_graph(meta_graph: Any) -> Iterator[_Refusal]:  # noqa: ANN401 (a MetaGraphDef)
    yield from _check_graph(meta_graph.graph_def, list_allowed() | SAVER_OPS)
    for op, place in find_misused_saver_ops(meta_graph):
        yield _Refusal(op, op, place, _OUTSIDE_SAVER)
    for number, node in enumerate(meta_graph.object_graph_def.nodes):
        for name in (node.registered_name, node.registered_saver):
            if name and not name.startswith("tf."):
                why = "it is a class of somebody's Python code, not of the model"
                yield _Refusal(name, name, f"object {number}", why)
    try:
        assets = _list_assets(meta_graph)
    except DecodeError:
        yield _Refusal(None, "damaged list", "the model's assets", "it can't be read")
        return
    for asset in assets:
        path = PurePosixPath(asset)
        if path.is_absolute() or ".." in path.parts:
            yield _Refusal(None, asset, "the model's assets", "it lies outside the model's folder")


def _list_assets(meta_graph: Any) -> list[str]:  # noqa: ANN401
    older = meta_graph.collection_def[_ASSETS].any_list.value if _ASSETS in meta_graph.collection_def else []
    assets = [meta_graph_pb2.AssetFileDef.FromString(packed.value) for packed in older]
    return [asset.filename for asset in (*meta_graph.asset_file_def, *assets)]


def _check_graph(graph: Any, allowed: frozenset[str]) -> Iterator[_Refusal]:  # noqa: ANN401 (a GraphDef)
    functions = {function.signature.name for function in graph.library.function}
    for name in sorted(filter(_OPERATION_NAME.fullmatch, functions)):
        yield _Refusal(None, name, "the function library", "a function may not be named like an operation")
    yield from _check_nodes(graph.node, allowed | functions, "")
    for function in graph.library.function:
        yield from _check_nodes(
            function.node_def, allowed | functions, f" of function {function.signature.name}"
        )


def _check_nodes(nodes: Any, allowed: frozenset[str], where: str) -> Iterator[_Refusal]:  # noqa: ANN401
    for node in nodes:
        place = f"node {node.name}{where}"
        if node.op == "PrintV2" and not _prints_to_log(node.attr["output_stream"]):
            yield _Refusal(None, "PrintV2 to a file", place, "it writes files")
        for op in list_called(node) - allowed:
            yield _Refusal(op, op, place, explain_refusal(op))


def _prints_to_log(stream: Any) -> bool:  # noqa: ANN401 (an AttrValue)
    # A placeholder would be whatever the function's caller gives.
    return stream.WhichOneof("value") in {None, "s"} and stream.s in _STREAMS


def _raise_any(located: Path, refusals: Sequence[_Refusal]) -> None:
    if not refusals:
        return
    first: dict[str, _Refusal] = {}
    for refusal in refusals:
        first.setdefault(refusal.what, refusal)
    shown = list(first.values())[:_SHOWN]
    more = f"; and {len(refusals) - len(shown)} more" if len(refusals) > len(shown) else ""
    names = sorted({refusal.name for refusal in refusals if refusal.name is not None})
    remedy = "get a model without them"
    if names and all(refusal.name is not None for refusal in refusals):
        listed = ", ".join(map(_shorten, names[: 2 * _SHOWN]))
        remedy += f", or, if you know its maker, accept them by model.trust_ops: [{listed}]"
    raise ModelError(
        f"{located}: refused, nothing of it was loaded: {'; '.join(map(str, shown))}{more}; {remedy}"
    )


def _shorten(name: str, characters: int = _SHOWN_CHARACTERS) -> str:
    # Names come from the model: no line breaks or escape sequences of a stranger in the log.
    plain = "".join(letter if letter.isprintable() else "?" for letter in name[:characters])
    return plain + ("..." if len(name) > characters else "")
