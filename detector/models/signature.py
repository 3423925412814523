"""What a model takes and gives, read from its own files: never from its name, never by TensorFlow.

Owns the choice of adapter: form, input, outputs and family of a detection model. The driver of a Spark
job reads signatures, so nothing here imports TensorFlow. Refuses whatever is no detector by what was
found and what was expected.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tensorboard.compat.proto import types_pb2

from detector.errors import ModelError
from detector.models.encoding import InputKind
from detector.models.protobufs import is_fed_by_examples, read_graph, read_meta_graphs

SAVED_MODEL = "saved_model.pb"
FROZEN_GRAPH = "frozen_inference_graph.pb"
Family = Literal["object_detection_api", "model_garden", "keras"]

_DTYPES: dict[int, Literal["uint8", "float32", "string"]] = {
    types_pb2.DT_UINT8: "uint8",
    types_pb2.DT_FLOAT: "float32",
    types_pb2.DT_STRING: "string",
}
_FROZEN_INPUTS = ("image_tensor", "encoded_image_string_tensor", "float_image_tensor", "tf_example")
_API_NAMES = {
    "boxes": ("detection_boxes",),
    "scores": ("detection_scores",),
    "classes": ("detection_classes",),
}
_KERAS_NAMES = {"boxes": ("boxes",), "scores": ("confidence", "scores"), "classes": ("labels", "classes")}
_EXPECTED = (
    "expected one input (uint8 or float32 images [batch, height, width, 3], or encoded images as strings) "
    "and the outputs detection_boxes, detection_scores, detection_classes "
    "(or boxes; confidence or scores; labels or classes)"
)


@dataclass(frozen=True)
class ModelInput:
    """The one input of a model.

    ``name`` is the signature's key, or a tensor of a frozen graph; ``batch``, ``height_px`` and
    ``width_px`` are None where the model takes any; ``scalar`` marks a single string without a batch.
    """

    name: str
    kind: InputKind
    dtype: Literal["uint8", "float32", "string"]
    batch: int | None
    height_px: int | None
    width_px: int | None
    scalar: bool = False


@dataclass(frozen=True)
class ModelSignature:
    """How to feed a model and what its outputs mean.

    ``boxes`` to ``image_info`` are keys of the signature's outputs, or tensors of a frozen graph;
    ``class_offset`` is what makes label map ids (from 1) of the model's classes, unless set otherwise.
    """

    form: Literal["saved_model", "frozen_graph"]
    tags: tuple[str, ...]
    signature_key: str | None
    input: ModelInput
    boxes: str
    scores: str
    classes: str
    num_detections: str | None
    image_info: str | None
    family: Family
    class_offset: int

    @property
    def outputs(self) -> dict[str, str]:
        """Map each role (boxes, scores, classes, num_detections, image_info) that is there to its name."""
        roles = ("boxes", "scores", "classes", "num_detections", "image_info")
        return {role: getattr(self, role) for role in roles if getattr(self, role) is not None}


@dataclass(frozen=True)
class _Tensor:
    """A tensor as a signature or a placeholder declares it; ``shape`` None: unknown, -1: any."""

    name: str
    dtype: int
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        dtype = _DTYPES.get(self.dtype) or types_pb2.DataType.Name(self.dtype).removeprefix("DT_").lower()
        shape = "?" if self.shape is None else list(self.shape)
        return f"{dtype}{shape}"


def locate_model(path: Path) -> Path:
    """Find the SavedModel folder or frozen graph file that ``path`` means.

    Takes a SavedModel folder, an export folder of the TF Object Detection API (``saved_model/`` wins over
    ``frozen_inference_graph.pb``), or a ``.pb`` file. Raises ``ModelError`` that names what was found.
    """
    if path.is_dir():
        if (path / SAVED_MODEL).is_file():
            return path
        if (path / "saved_model" / SAVED_MODEL).is_file():
            return path / "saved_model"
        if (path / FROZEN_GRAPH).is_file():
            return path / FROZEN_GRAPH
    elif path.is_file() and path.suffix == ".pb":
        return path.parent if path.name == SAVED_MODEL else path
    raise ModelError(
        f"{path}: {_describe_path(path)}; expected a SavedModel folder (with {SAVED_MODEL}), a folder with "
        f"saved_model/{SAVED_MODEL} or {FROZEN_GRAPH}, or a frozen graph .pb file"
    )


def read_signature(path: Path) -> ModelSignature:
    """Read how to feed the model at ``path`` and what it gives, from its files alone.

    ``path`` is anything that ``locate_model`` takes. Of several signatures ``serving_default`` goes first,
    then whichever detects. Raises ``ModelError`` for a model that is damaged or no detector.
    """
    located = locate_model(path)
    if located.is_dir():
        return _read_saved_model(located)
    return _read_frozen_graph(located)


def _describe_path(path: Path) -> str:
    if not path.exists():
        return "there is no such file or folder"
    names = sorted(child.name for child in path.iterdir()) if path.is_dir() else [path.name]
    if any(name.endswith((".keras", ".h5")) for name in names):
        return (
            "found a Keras file, which may hold Python code (Lambda layers): load it in Keras 3.13.2 or "
            "newer with keras.saving.load_model(file, safe_mode=True) and export it with model.export(folder)"
        )
    found = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")  # noqa: PLR2004 (enough to recognise)
    return f"found {'a folder with ' if path.is_dir() else ''}{found or 'nothing'}"


def _read_saved_model(folder: Path) -> ModelSignature:
    meta_graphs = read_meta_graphs(folder / SAVED_MODEL)
    served = [graph for graph in meta_graphs if "serve" in graph.meta_info_def.tags] or meta_graphs
    meta_graph = served[0]
    _require_variables(folder, meta_graph.graph_def)
    reports = []
    for key in sorted(meta_graph.signature_def, key=lambda key: (key != "serving_default", key)):
        definition = meta_graph.signature_def[key]
        inputs = {name: _read_tensor(info) for name, info in definition.inputs.items()}
        outputs = {name: _read_tensor(info) for name, info in definition.outputs.items()}
        roles = _find_roles(outputs)
        if roles is not None and len(inputs) == 1:
            name, tensor = next(iter(inputs.items()))
            by_example = is_fed_by_examples(meta_graph.graph_def, [outputs[roles["boxes"]].name])
            model_input = _read_input(name, tensor, by_example=by_example)
            if model_input is not None:
                tags = tuple(sorted(meta_graph.meta_info_def.tags))
                family = _tell_family(roles, outputs)
                return _build_signature(model_input, roles, family, tags=tags, key=key)
        if not key.startswith("__"):
            reports.append(f"signature {key}: inputs {_list(inputs)}; outputs {_list(outputs)}")
    found = " | ".join(reports) or "no signatures"
    raise ModelError(f"{folder}: no detection model: found {found}; {_EXPECTED}")


def _read_frozen_graph(file: Path) -> ModelSignature:
    graph = read_graph(file)
    inputs = {node.name: _read_placeholder(node) for node in graph.node if node.op == "Placeholder"}
    wanted = {*(name for names in _API_NAMES.values() for name in names), "num_detections"}
    outputs = {
        node.name: _Tensor(f"{node.name}:0", types_pb2.DT_INVALID, None)
        for node in graph.node
        if node.name in wanted
    }
    roles = _find_roles(outputs)
    named = [name for name in _FROZEN_INPUTS if name in inputs] or (list(inputs) if len(inputs) == 1 else [])
    if roles is not None and named:
        by_example = is_fed_by_examples(graph, [roles["boxes"]])
        model_input = _read_input(f"{named[0]}:0", inputs[named[0]], by_example=by_example)
        if model_input is not None:
            tensors = {role: f"{name}:0" for role, name in roles.items()}
            return _build_signature(model_input, tensors, "object_detection_api")
    consumed = {name.removeprefix("^").split(":")[0] for node in graph.node for name in node.input}
    ends = [node.name for node in graph.node if node.name not in consumed and node.op != "Placeholder"]
    raise ModelError(
        f"{file}: no detection model: found frozen graph with inputs {_list(inputs)}; "
        f"last nodes {', '.join(ends[:12])}; {_EXPECTED}"
    )


def _find_roles(outputs: Mapping[str, _Tensor]) -> dict[str, str] | None:
    for names in (_API_NAMES, _KERAS_NAMES):
        roles = {
            role: next((name for name in choices if name in outputs), None) for role, choices in names.items()
        }
        found = {role: name for role, name in roles.items() if name is not None}
        if len(found) == len(names) and _have_detection_shapes(found, outputs):
            optional = {role: role for role in ("num_detections", "image_info") if role in outputs}
            return found | optional
    return None


def _have_detection_shapes(roles: Mapping[str, str], outputs: Mapping[str, _Tensor]) -> bool:
    boxes, scores = outputs[roles["boxes"]].shape, outputs[roles["scores"]].shape
    four = boxes is None or (len(boxes) in {2, 3} and boxes[-1] in {4, -1})
    return four and (scores is None or boxes is None or len(scores) == len(boxes) - 1)


def _read_input(name: str, tensor: _Tensor, *, by_example: bool) -> ModelInput | None:
    dtype, shape = _DTYPES.get(tensor.dtype), tensor.shape
    if dtype == "string" and (shape is None or len(shape) <= 1):
        scalar = shape == ()
        batch = 1 if scalar else _positive(shape[0]) if shape else None
        return ModelInput(name, "tf_example" if by_example else "encoded", dtype, batch, None, None, scalar)
    if dtype in {"uint8", "float32"} and (
        shape is None or (len(shape) == 4 and shape[3] in {3, -1})  # noqa: PLR2004 (batch, height, width, RGB)
    ):
        batch, height_px, width_px = (None,) * 3 if shape is None else map(_positive, shape[:3])
        return ModelInput(name, "image", dtype, batch, height_px, width_px)
    return None


def _positive(size: int) -> int | None:
    return size if size > 0 else None


def _build_signature(
    model_input: ModelInput,
    roles: Mapping[str, str],
    family: Family,
    *,
    tags: tuple[str, ...] = (),
    key: str | None = None,
) -> ModelSignature:
    return ModelSignature(
        form="frozen_graph" if key is None else "saved_model",
        tags=tags,
        signature_key=key,
        input=model_input,
        boxes=roles["boxes"],
        scores=roles["scores"],
        classes=roles["classes"],
        num_detections=roles.get("num_detections"),
        image_info=roles.get("image_info"),
        family=family,
        class_offset=1 if family == "keras" else 0,
    )


def _tell_family(roles: Mapping[str, str], outputs: Mapping[str, _Tensor]) -> Family:
    if roles["boxes"] in _KERAS_NAMES["boxes"]:
        return "keras"
    # The Object Detection API counts and classifies in float32, the model garden in whole numbers.
    whole = {types_pb2.DT_INT32, types_pb2.DT_INT64}
    counted = any(outputs[name].dtype in whole for name in roles.values())
    return "model_garden" if counted or "image_info" in roles else "object_detection_api"


def _require_variables(folder: Path, graph: Any) -> None:  # noqa: ANN401 (a GraphDef)
    if not any(node.op in {"VarHandleOp", "VariableV2"} for node in graph.node):
        return
    variables = folder / "variables"
    shards = sorted(variables.glob("variables.data-*-of-*"))
    expected = int(shards[0].name.rpartition("-")[2]) if shards else 1
    if not (variables / "variables.index").is_file() or len(shards) != expected:
        raise ModelError(
            f"{variables}: the model's variables are missing or incomplete ({len(shards)} of {expected} data "
            "files); copy the whole SavedModel folder"
        )


def _read_tensor(info: Any) -> _Tensor:  # noqa: ANN401 (a TensorInfo)
    return _Tensor(info.name, info.dtype, _read_shape(info.tensor_shape))


def _read_placeholder(node: Any) -> _Tensor:  # noqa: ANN401 (a NodeDef)
    shape = _read_shape(node.attr["shape"].shape) if "shape" in node.attr else None
    return _Tensor(f"{node.name}:0", node.attr["dtype"].type, shape)


def _read_shape(shape: Any) -> tuple[int, ...] | None:  # noqa: ANN401 (a TensorShapeProto)
    return None if shape.unknown_rank else tuple(dimension.size for dimension in shape.dim)


def _list(tensors: Mapping[str, _Tensor]) -> str:
    listed: Iterable[str] = (f"{name} {tensor}" for name, tensor in sorted(tensors.items()))
    return ", ".join(listed) or "none"
