"""JSON that strangers send, and the pictures in it as base64.

Owns the refusals of what isn't JSON, isn't base64 or nests too deep. Refuses to quote any of it.
"""

import binascii
import json
from typing import Any

from detector.serving.refusals import Refusal, refuse_request


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises the 400 ``Refusal`` of anything else.

    >>> read_object(b'{"instances": []}')
    {'instances': []}
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise refuse_request("the body is no JSON") from None
    if not isinstance(document, dict):
        raise refuse_request("the body is no JSON object")
    return document


def decode_base64(text: object, where: str) -> bytes:
    """Decode a picture's base64; ``where`` names its place. Raises the 400 ``Refusal``.

    >>> decode_base64("aGk=", "instances[0].b64")
    b'hi'
    """
    if not isinstance(text, str):
        raise refuse_request(f"{where} is no string of base64")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # also characters beyond ASCII
        raise refuse_request(f"{where} is no base64") from None


def refuse_count(count: int, most: int) -> None:
    """Raise the refusal of a request without pictures, or with more than ``most``."""
    if count == 0:
        raise refuse_request("there is no picture in the request")
    if count > most:
        raise Refusal(413, "TooManyPictures", f"{count} pictures in a request: serve.max_pictures is {most}")
