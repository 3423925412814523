"""TensorFlow Serving's REST interface: ``:predict`` by rows (instances) or columns (inputs), and the status.

Owns these two forms; KServe's V1 protocol is the first. Does no input or output itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.labels import LabelMap
from detector.serving.documents import decode_base64, read_object, refuse_count
from detector.serving.refusals import refuse_request
from detector.serving.service import Found
from detector.serving.tensors import build_arrays

_INPUTS = ("image", "image_bytes", "encoded_image_string_tensor", "input_tensor")


@dataclass(frozen=True)
class PredictRequest:
    """Pictures, and whether the answer goes by rows (a picture each) or by columns (an output each)."""

    contents: list[bytes]
    by_rows: bool


def describe_status(version: str) -> dict[str, Any]:
    """Give the model's status: the one version, available."""
    status = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": version, "state": "AVAILABLE", "status": status}]}


def parse_predict(body: bytes, max_pictures: int) -> PredictRequest:
    """Read a request: a picture is ``{"b64": ...}``, also under the input's name. Raises ``Refusal``."""
    document = read_object(body)
    if ("instances" in document) == ("inputs" in document):
        raise refuse_request("give instances or inputs, one of them")
    by_rows = "instances" in document
    given = document["instances"] if by_rows else _unwrap(document["inputs"])
    pictures = given if isinstance(given, list) else [given]
    if by_rows and not isinstance(given, list):
        raise refuse_request("instances must be a list")
    refuse_count(len(pictures), max_pictures)
    name = "instances" if by_rows else "inputs"
    return PredictRequest(
        [_read_picture(one, f"{name}[{place}]") for place, one in enumerate(pictures)], by_rows
    )


def build_predict_answer(
    request: PredictRequest, found: Sequence[Found], labels: LabelMap
) -> dict[str, list[Any] | dict[str, Any]]:
    """Build the answer: ``predictions``, a picture's own detections each; or ``outputs``, padded arrays."""
    if not request.by_rows:
        return {"outputs": {name: array.tolist() for name, array in build_arrays(found, labels).items()}}
    rows = []
    for one in found:
        arrays = build_arrays([one], labels)
        rows.append({name: array[0].tolist() for name, array in arrays.items()})
    return {"predictions": rows}


def _unwrap(given: object) -> object:
    if isinstance(given, Mapping) and len(given) == 1:
        return next((given[name] for name in _INPUTS if name in given), given)
    return given


def _read_picture(given: object, where: str) -> bytes:
    given = _unwrap(given)
    if not isinstance(given, Mapping) or set(given) != {"b64"}:
        raise refuse_request(f'{where} is no picture: {{"b64": "..."}}')
    return decode_base64(given["b64"], f"{where}.b64")
