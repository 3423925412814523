"""Why a request gets no detections: status, class and message, as every protocol here tells them.

Owns which error is whose fault: the request's (4xx), this moment's (429, 503), or ours (500). Refuses to
quote what a client sent, or what an unforeseen error says: logs and answers show neither keys nor contents.
"""

from collections.abc import Mapping

from detector.errors import EmptyMediaError, MediaError, PredictionError

_RETRY_S = "1"


class Refusal(Exception):  # noqa: N818 (a word of its own: most are no errors of ours)
    """A request that is answered with ``status`` instead of detections."""

    def __init__(
        self, status: int, error_class: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_class = error_class
        self.headers = dict(headers or {})


def refuse_request(message: str) -> Refusal:
    """Make the 400 of a request that isn't of the form that its address takes."""
    return Refusal(400, "BadRequest", message)


def refuse_busy(message: str) -> Refusal:
    """Make the 429 of a request that may be sent again in a moment."""
    return Refusal(429, "Busy", message, {"Retry-After": _RETRY_S})


def refuse_unready(message: str) -> Refusal:
    """Make the 503 of a server that can't answer now."""
    return Refusal(503, "Unavailable", message, {"Retry-After": _RETRY_S})


def explain_error(error: Exception) -> Refusal:
    """Turn anything raised while a request was answered into its refusal.

    >>> explain_error(EmptyMediaError("there are no bytes")).status
    400
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, MediaError):
        return Refusal(_choose_status(error), error.error_class(), str(error))
    return Refusal(500, "Internal", f"unexpected {type(error).__name__}; the server's log tells where")


def _choose_status(error: MediaError) -> int:
    if isinstance(error, EmptyMediaError):
        return 400
    return 500 if isinstance(error, PredictionError) else 422
