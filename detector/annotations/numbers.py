"""Numbers, truths and text out of JSON values that other programs wrote.

Owns what counts as one. Refuses NaN and infinity, which Python's JSON reader lets through.
"""

import math
from typing import Any

MAX_INTEGER = 2**31 - 1  # no picture is wider


def read_numbers(value: Any, count: int) -> tuple[float, ...] | None:  # noqa: ANN401 (any JSON value)
    """Read a list of ``count`` finite numbers; None where it is none. Numbers may be text.

    >>> read_numbers([1, "2.5"], 2), read_numbers([1, None], 2)
    ((1.0, 2.5), None)
    """
    if not isinstance(value, list) or len(value) != count:
        return None
    try:
        numbers = tuple(float(entry) for entry in value)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def read_integer(value: Any) -> int | None:  # noqa: ANN401
    """Read a positive whole number, such as a size, up to ``MAX_INTEGER``; None where it is none.

    >>> read_integer(640), read_integer("640"), read_integer(0), read_integer(float("inf"))
    (640, 640, None, None)
    """
    number = read_numbers([value], 1)
    return int(number[0]) if number is not None and 1 <= number[0] <= MAX_INTEGER else None


def read_boolean(value: Any) -> bool:  # noqa: ANN401
    """Read a truth: true, a number that is not 0, or one of the words 1, true and yes.

    >>> read_boolean(1), read_boolean("yes"), read_boolean("0"), read_boolean(None)
    (True, True, False, False)
    """
    return value.strip().lower() in {"1", "true", "yes"} if isinstance(value, str) else bool(value)


def read_string(value: Any) -> str:  # noqa: ANN401
    """Read text; empty where it is none, or none that UTF-8 can hold.

    >>> read_string("cat"), read_string(3), read_string(chr(0xD800))
    ('cat', '', '')
    """
    if not isinstance(value, str) or value.encode("utf-8", "ignore").decode() != value:
        return ""
    return value
