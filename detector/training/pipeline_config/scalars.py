"""Numbers, words and strings of the text format as Python values, by their declared type.

Owns ranges and spellings. Refuses a value of another type, and infinity. A float is the shortest that single
precision tells apart, as the API stores it: 0.6000000238418579 is .6 again.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from detector.training.pipeline_config.text_proto import Field, Scalar

Value = bool | int | float | str
_RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}
_TRUE, _FALSE = {"true", "True", "t", "1"}, {"false", "False", "f", "0"}
_OCTAL = re.compile(r"-?0[0-7]+")


def read_scalar(value: Scalar | Sequence[Field], kind: str, words: Sequence[str] = ()) -> Value:
    """Read a value as bool, int32, uint32, float, string, or one of an enum's ``words``.

    Raises ``ValueError`` that says what belongs there.

    >>> read_scalar(Scalar("number", "0.6000000238418579"), "float")
    0.6
    """
    if not isinstance(value, Scalar):
        raise ValueError(f"a message is no {kind}: give a value")  # noqa: TRY004 (told like every other)
    if words:
        return _read_word(value, words)
    try:
        return _READERS[kind](value, kind)
    except KeyError:
        raise ValueError(f"{value.text!r} is no message {kind}: give {{ and its fields }}") from None
    except ValueError:
        raise ValueError(f"{value.text!r} is no {kind}") from None


def _read_word(value: Scalar, words: Sequence[str]) -> str:
    if value.kind != "word" or value.text not in words:
        raise ValueError(f"{value.text!r} is none of {', '.join(words)}")
    return value.text


def _read_bool(value: Scalar, _: str) -> bool:
    if value.kind == "string" or value.text not in _TRUE | _FALSE:
        raise ValueError
    return value.text in _TRUE


def _read_int(value: Scalar, kind: str) -> int:
    if value.kind != "number":
        raise ValueError
    number = int(value.text, 8) if _OCTAL.fullmatch(value.text) else int(value.text, 0)
    low, high = _RANGES[kind]
    if not low <= number <= high:
        raise ValueError
    return number


def _read_float(value: Scalar, _: str) -> float:
    if value.kind != "number":
        raise ValueError
    text = value.text.lower()
    with np.errstate(over="ignore"):
        number = float(
            str(np.float32(int(text, 0) if text.lstrip("-").startswith("0x") else text.rstrip("f")))
        )
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_string(value: Scalar, _: str) -> str:
    if value.kind != "string":
        raise ValueError
    return value.text


_READERS: Mapping[str, Callable[[Scalar, str], Value]] = {
    "bool": _read_bool,
    "int32": _read_int,
    "uint32": _read_int,
    "float": _read_float,
    "string": _read_string,
}
