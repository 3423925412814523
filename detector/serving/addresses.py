"""The server's addresses: which protocol answers where, who needs a key, and what is told of each answer.

Owns routing, the one line of log for each request, and the form of refusals: ``error`` (what both tensor
protocols call it) and ``error_class``. Logs routes, never addresses, headers or contents.
"""

import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from detector.serving.page import answer_page
from detector.serving.protocols import (
    detect_picture,
    infer,
    predict,
    tell_model,
    tell_model_ready,
    tell_server,
    tell_status,
)
from detector.serving.refusals import Refusal, explain_error
from detector.serving.state import State

LOG = logging.getLogger("detector.serving")
Handler = Callable[[Request, State], Awaitable[Response]]

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_MODEL_V1, _MODEL_V2 = "/v1/models/{name}", "/v2/models/{name}"


def build_application(state: State) -> Starlette:
    """Build the application that answers with ``state``."""
    open_metrics = not state.settings.metrics_need_key
    table: Sequence[tuple[str, str, Handler, bool, list[str]]] = [
        ("page", "GET", answer_page, True, ["/"]),
        ("live", "GET", _tell_live, True, ["/v2/health/live"]),
        ("ready", "GET", _tell_ready, True, ["/v2/health/ready"]),
        ("metrics", "GET", _tell_metrics, open_metrics, ["/metrics"]),
        ("detect", "POST", detect_picture, False, ["/detect"]),
        ("server", "GET", tell_server, False, ["/v2"]),
        ("model_ready", "GET", tell_model_ready, False, _with_version(_MODEL_V2, "/ready")),
        ("infer", "POST", infer, False, _with_version(_MODEL_V2, "/infer")),
        ("model", "GET", tell_model, False, _with_version(_MODEL_V2, "")),
        ("predict", "POST", predict, False, _with_version(_MODEL_V1, ":predict")),
        ("status", "GET", tell_status, False, _with_version(_MODEL_V1, "")),
    ]
    routes = [
        Route(path, _guard(state, name, handler, is_open=is_open), methods=[method])
        for name, method, handler, is_open, paths in table
        for path in paths
    ]

    async def refuse_address(request: Request, error: Exception) -> Response:  # noqa: ARG001
        status = error.status_code if isinstance(error, HTTPException) else 500
        state.metrics.count_request("none", status, 0)
        words = "no such address here" if status == 404 else "this address takes another method"  # noqa: PLR2004
        headers = error.headers if isinstance(error, HTTPException) else None
        return _refuse(Refusal(status, "NoSuchAddress", words, headers))

    application = Starlette(routes=routes, exception_handlers={HTTPException: refuse_address})
    application.router.redirect_slashes = False
    return application


def _with_version(model: str, rest: str) -> list[str]:
    return [model + rest, f"{model}/versions/{{version}}{rest}"]


def _guard(
    state: State, route: str, handler: Handler, *, is_open: bool
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        started, error_class = time.perf_counter(), None
        try:
            if not is_open and not state.keys.admit(request.headers):
                raise Refusal(  # noqa: TRY301 (all refusals are told in one place)
                    401, "NoKey", "give an API key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
                )
            response = await handler(request, state)
        except Exception as error:  # noqa: BLE001 (everything is answered, and told without its contents)
            refusal = explain_error(error)
            error_class = refusal.error_class
            if error_class == "Internal":
                _tell_trace(error)
            response = _refuse(refusal)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if state.draining:
            response.headers["Connection"] = "close"
        seconds = time.perf_counter() - started
        state.metrics.count_request(route, response.status_code, seconds)
        if state.settings.access_log and route not in {"live", "ready", "metrics"}:
            _tell_request(request, route, response.status_code, seconds, error_class)
        return response

    return answer


def _refuse(refusal: Refusal) -> Response:
    content = json.dumps({"error": str(refusal), "error_class": refusal.error_class})
    return Response(content, refusal.status, refusal.headers, "application/json")


def _tell_request(request: Request, route: str, status: int, seconds: float, error_class: str | None) -> None:
    line: dict[str, Any] = {"route": route, "status": status, "ms": round(1000 * seconds, 1)}
    if request.client is not None:
        line["client"] = request.client.host
    if error_class is not None:
        line["error_class"] = error_class
    LOG.info(json.dumps(line))


def _tell_trace(error: Exception) -> None:
    # The places alone: what an error says may hold what the client sent.
    places = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)]
    LOG.error(json.dumps({"unexpected": type(error).__name__, "at": places[-6:]}))


async def _tell_live(request: Request, state: State) -> Response:  # noqa: ARG001
    return Response('{"live": true}', media_type="application/json")


async def _tell_ready(request: Request, state: State) -> Response:  # noqa: ARG001
    status = 200 if state.is_ready else 503
    return Response(json.dumps({"ready": state.is_ready}), status, media_type="application/json")


async def _tell_metrics(request: Request, state: State) -> Response:  # noqa: ARG001
    return Response(state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
