"""Open Inference Protocol v2 in REST, with Triton's binary data: requests in, answers out.

Owns the tensors: one input ``image`` of encoded pictures, BYTES [N] or [N, 1], as base64 in JSON or as raw
bytes behind it (each after its length, 4 bytes little endian). Does no input or output itself.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.labels import LabelMap
from detector.serving.documents import decode_base64, read_object, refuse_count
from detector.serving.refusals import refuse_request
from detector.serving.service import Found
from detector.serving.tensors import BOXES, CLASSES, COUNT, IMAGE_HW, LABELS, SCORES, build_arrays

INPUT = "image"
HEADER_LENGTH = "inference-header-content-length"
OUTPUTS: Mapping[str, tuple[str, list[int]]] = {
    BOXES: ("FP32", [-1, -1, 4]),
    SCORES: ("FP32", [-1, -1]),
    CLASSES: ("INT32", [-1, -1]),
    LABELS: ("BYTES", [-1, -1]),
    COUNT: ("INT32", [-1]),
    IMAGE_HW: ("INT32", [-1, 2]),
}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class InferRequest:
    """What was asked: pictures, the request's id, and each wanted output with whether it's to be binary."""

    contents: list[bytes]
    id: str | None
    outputs: Mapping[str, bool]


def describe_model(name: str, version: str) -> dict[str, Any]:
    """Give the model's metadata."""
    outputs = [
        {"name": output, "datatype": datatype, "shape": shape}
        for output, (datatype, shape) in OUTPUTS.items()
    ]
    inputs = [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}]
    described = {"name": name, "versions": [version], "platform": "tensorflow_savedmodel"}
    return {**described, "inputs": inputs, "outputs": outputs}


def parse_infer(body: bytes, header_length: str | None, max_pictures: int) -> InferRequest:
    """Read an inference request; ``header_length`` says how much of the body is JSON. Raises ``Refusal``."""
    cut = _read_cut(header_length, len(body))
    document = read_object(body[:cut])
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise refuse_request(f"inputs must be a list of one tensor, {INPUT}")
    tensor = inputs[0]
    if tensor.get("name") != INPUT or tensor.get("datatype") != "BYTES":
        raise refuse_request(f"the one input is {INPUT}, BYTES: encoded pictures")
    count = _read_count(tensor.get("shape"))
    refuse_count(count, max_pictures)
    size = _read_parameters(tensor).get("binary_data_size")
    data = tensor.get("data")
    contents = _read_data(data) if size is None else _cut_binary(body[cut:], size)
    if len(contents) != count:
        raise refuse_request(f"{INPUT} has {len(contents)} pictures, and its shape says {count}")
    return InferRequest(contents, _read_id(document.get("id")), _read_outputs(document))


def build_infer_answer(
    request: InferRequest, found: Sequence[Found], labels: LabelMap, *, name: str, version: str
) -> tuple[bytes | None, dict[str, Any]]:
    """Build the answer: the binary data that follows the JSON, or None, and the JSON's content."""
    arrays = build_arrays(found, labels)
    outputs, binary = [], []
    for output, is_binary in request.outputs.items():
        array = arrays[output]
        tensor: dict[str, Any] = {"name": output, "datatype": OUTPUTS[output][0], "shape": list(array.shape)}
        if is_binary:
            packed = _pack(array)
            binary.append(packed)
            tensor["parameters"] = {"binary_data_size": len(packed)}
        else:
            tensor["data"] = array.ravel().tolist()
        outputs.append(tensor)
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if request.id is not None:
        answer["id"] = request.id
    return (b"".join(binary) if binary else None), answer


def _read_cut(header_length: str | None, length: int) -> int:
    if header_length is None:
        return length
    digits = header_length if header_length.isascii() and header_length.isdigit() else "-1"
    cut = int(digits[:20])
    if not 0 <= cut <= length:
        raise refuse_request("Inference-Header-Content-Length is no number within the body")
    return cut


def _read_count(shape: object) -> int:
    if (
        isinstance(shape, list)
        and shape
        and shape[1:] in ([], [1])
        and type(shape[0]) is int
        and shape[0] >= 0
    ):
        return int(shape[0])
    raise refuse_request(f"the shape of {INPUT} must be [N] or [N, 1]")


def _read_id(given: object) -> str | None:
    if not isinstance(given, str):
        return None
    if any("\ud800" <= letter <= "\udfff" for letter in given):
        raise refuse_request("the id is no text: it holds half a character")
    return given


def _read_parameters(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = owner.get("parameters", {})
    return parameters if isinstance(parameters, dict) else {}


def _read_data(data: object) -> list[bytes]:
    if not isinstance(data, list):
        raise refuse_request(f"{INPUT} has neither data nor binary data")
    flat = [
        one[0] if isinstance(one, list) and len(one) == 1 else one for one in data
    ]  # [N, 1] may come nested
    return [decode_base64(one, f"{INPUT}.data[{place}]") for place, one in enumerate(flat)]


def _cut_binary(binary: bytes, size: object) -> list[bytes]:
    if type(size) is not int or size != len(binary):
        raise refuse_request(f"binary_data_size isn't the {len(binary)} bytes that follow the JSON")
    contents, at = [], 0
    while at < size:
        if at + _LENGTH.size > size:
            raise refuse_request(f"the binary data of {INPUT} ends within a length")
        (length,) = _LENGTH.unpack_from(binary, at)
        at += _LENGTH.size
        if at + length > size:
            raise refuse_request(f"the binary data of {INPUT} ends within a picture")
        contents.append(binary[at : at + length])
        at += length
    return contents


def _read_outputs(document: Mapping[str, Any]) -> dict[str, bool]:
    by_default = _read_parameters(document).get("binary_data_output") is True
    wanted = document.get("outputs")
    if not wanted:
        return dict.fromkeys(OUTPUTS, by_default)
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise refuse_request("outputs must be a list of objects with a name")
    if any(not isinstance(one.get("name"), str) or one["name"] not in OUTPUTS for one in wanted):
        raise refuse_request(f"the outputs are {', '.join(OUTPUTS)}")
    return {one["name"]: _read_parameters(one).get("binary_data", by_default) is True for one in wanted}


def _pack(array: NDArray[np.generic]) -> bytes:
    if array.dtype != object:
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    texts = [str(text).encode() for text in array.ravel()]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
