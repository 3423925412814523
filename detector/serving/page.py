"""The page to drop a picture on, at ``GET /``: one file that asks nothing of any other place.

Owns the page's content policy: its own script and style alone, requests to this server alone.
"""

import base64
import functools
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from detector.reports.drawing import PALETTE
from detector.serving.state import State

_HERE = Path(__file__).parent


async def answer_page(request: Request, state: State) -> Response:  # noqa: ARG001
    """Answer the page."""
    content, policy = _build_page()
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
    return Response(content, headers=headers, media_type="text/html; charset=utf-8")


@functools.cache
def _build_page() -> tuple[str, str]:
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    colours = ", ".join(f'["{box}", "{ink}"]' for box, ink in PALETTE)
    script = (_HERE / "page.js").read_text(encoding="utf-8").replace("/* PALETTE */", colours)
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "connect-src 'self'; img-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page.replace("/* STYLE */", style).replace("/* SCRIPT */", script), policy


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
