"""The three ways to ask for detections, each from a request to its answer.

Owns what is done on which thread: bodies are read in the event loop, taken apart and decoded beside it.
Refuses models and versions other than the one served, by 404.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from detector.errors import EmptyMediaError
from detector.serving.open_inference import (
    HEADER_LENGTH,
    build_infer_answer,
    describe_model,
    parse_infer,
)
from detector.serving.pictures import DRAWN_FROM_SCORE, draw_answer, list_boxes
from detector.serving.refusals import Refusal, refuse_request, refuse_unready
from detector.serving.service import Found, Service
from detector.serving.state import State
from detector.serving.tensorflow_serving import build_predict_answer, describe_status, parse_predict
from detector.serving.uploads import read_upload

_JSON = "application/json"
_DRAWN = {"image/jpeg": "JPEG", "image/png": "PNG"}


async def detect_picture(request: Request, state: State) -> Response:
    """Answer POST /detect: one picture in, its boxes out, or the picture with boxes (``Accept: image/*``)."""
    min_score = _read_min_score(request)
    drawn_kind = _choose_drawn(request.headers.get("accept", ""))

    async def work(body: bytes, service: Service) -> Response:
        content = read_upload(body, request.headers.get("content-type", ""))
        if not content:
            raise EmptyMediaError("there are no bytes: send a picture as the body, or as a form's file")
        (found,) = await service.detect([content])
        if drawn_kind is None:
            return _answer_json(_describe_picture(state, found, min_score or 0))
        least = DRAWN_FROM_SCORE if min_score is None else min_score
        drawn = await service.run(draw_answer, content, found, state.labels, least, _DRAWN[drawn_kind])
        return Response(drawn, media_type=drawn_kind)

    return await state.answer(request, work)


async def infer(request: Request, state: State) -> Response:
    """Answer Open Inference Protocol's infer."""
    _refuse_other_model(request, state)

    async def work(body: bytes, service: Service) -> Response:
        header_length = request.headers.get(HEADER_LENGTH)
        asked = await service.run(parse_infer, body, header_length, state.settings.max_pictures)
        found = await service.detect(asked.contents)
        binary, answer = build_infer_answer(
            asked, found, state.labels, name=state.name, version=state.version
        )
        if binary is None:
            return _answer_json(answer)
        head = orjson.dumps(answer)
        headers = {HEADER_LENGTH: str(len(head))}
        return Response(head + binary, headers=headers, media_type="application/octet-stream")

    return await state.answer(request, work)


async def predict(request: Request, state: State) -> Response:
    """Answer TensorFlow Serving's predict."""
    _refuse_other_model(request, state)

    async def work(body: bytes, service: Service) -> Response:
        asked = await service.run(parse_predict, body, state.settings.max_pictures)
        found = await service.detect(asked.contents)
        return _answer_json(build_predict_answer(asked, found, state.labels))

    return await state.answer(request, work)


async def tell_server(request: Request, state: State) -> Response:  # noqa: ARG001
    """Answer the server's metadata."""
    return _answer_json({"name": "detector", "version": "0.1.0", "extensions": ["binary_tensor_data"]})


async def tell_model(request: Request, state: State) -> Response:
    """Answer the model's metadata."""
    _refuse_other_model(request, state)
    return _answer_json(describe_model(state.name, state.version))


async def tell_model_ready(request: Request, state: State) -> Response:
    """Answer whether the model is ready."""
    _refuse_other_model(request, state)
    if not state.is_ready:
        raise refuse_unready("the model is being loaded, or the server is about to end")
    return _answer_json({"name": state.name, "ready": True})


async def tell_status(request: Request, state: State) -> Response:
    """Answer TensorFlow Serving's status of the model; unavailable before it's warm."""
    _refuse_other_model(request, state)
    if not state.is_ready:
        raise refuse_unready("the model is being loaded, or the server is about to end")
    return _answer_json(describe_status(state.version))


def _describe_picture(state: State, found: Found, min_score: float) -> dict[str, Any]:
    return {
        "model_name": state.name,
        "model_version": state.version,
        "width_px": found.width_px,
        "height_px": found.height_px,
        "detections": list_boxes(found, state.labels, min_score),
    }


def _answer_json(content: dict[str, Any] | Sequence[Any]) -> Response:
    return Response(orjson.dumps(content), media_type=_JSON)


def _refuse_other_model(request: Request, state: State) -> None:
    name, version = request.path_params["name"], request.path_params.get("version", state.version)
    if (name, version) != (state.name, state.version):
        raise Refusal(404, "NoSuchModel", f"this server has the model {state.name}, version {state.version}")


def _read_min_score(request: Request) -> float | None:
    given = request.query_params.get("min_score")
    if given is None:
        return None
    try:
        min_score = float(given)
    except ValueError:
        raise refuse_request("min_score is no number") from None
    if not 0 <= min_score <= 1:
        raise refuse_request("min_score is not between 0 and 1")
    return min_score


def _choose_drawn(accept: str) -> str | None:
    """Choose the picture's type where a client takes pictures and prefers them to JSON, else None."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    for kind in kinds:  # in the order in which it asks
        if kind in {_JSON, "*/*", "application/*"}:
            return None
        if kind in _DRAWN:
            return kind
        if kind == "image/*":
            return "image/jpeg"
    return None
