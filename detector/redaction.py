"""Secrets in settings and texts: keys, tokens and passwords that no table, log, page or message may show.

Owns what counts as one: the login of a URI, the value of every option behind its ``?``, values by names such
as secret, token or sig. Refuses nothing. Knows no content of media; bytes that an exception quotes go, too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel

HARMLESS_OPTIONS = ("endpoint_override", "region", "scheme", "allow_bucket_creation", "enable_tls")
_HIDDEN = "***"
_LEAST_CHARACTERS = 4  # shorter values are words of every message; named ones are hidden by their name

_NAME = (
    r"(?:[\w.-]*(?:secret|token|passw(?:or)?d|pwd|credential|signature|(?:access|account|api|shared)[._-]?key)"
    r"[\w.-]*|sig|sas)"
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
# In the order in which they are applied; what is kept is the first group.
_PATTERNS = (
    re.compile(r"(://)[^/\s'\"]*:[^/\s]*(?=@)"),
    re.compile(r"(\b(?:s3[an]?|gs)://)[^\s'\"@]*:[^\s'\"@]*(?=@)"),  # a key's own slashes
    re.compile(rf"((?<![\w.-]){_NAME}=)[^&\s\"',;)]+", re.IGNORECASE),
    re.compile(rf"([\"']{_NAME}[\"']: ?[\"'])[^\"']+", re.IGNORECASE),
    re.compile(r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"(\bb)(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"),
)


def find_secrets(known: object) -> frozenset[str]:
    """Find the secrets in settings, however nested: in their URIs, and under keys that are named like one.

    >>> sorted(find_secrets({"root": "abfss://c@a.net/x?sv=1&sig=hush", "fs.s3a.secret.key": "shhh"}))
    ['hush', 'shhh']
    """
    return frozenset(secret for secret in _find(known) if len(secret) >= _LEAST_CHARACTERS)


def make_safe(text: object, known: object = None) -> str:
    """Put *** for the secrets of ``known`` settings in a text, and for whatever looks like one by itself.

    >>> make_safe("no https://me:topsecret@host/a?sv=2024&sig=abc%2F, nor topsecret", "x://me:topsecret@host")
    'no https://***@host/a?sv=2024&sig=***, nor ***'
    """
    shown = str(text)
    for secret in sorted(find_secrets(known), key=len, reverse=True):
        shown = shown.replace(secret, _HIDDEN)
    for pattern in _PATTERNS:
        shown = pattern.sub(rf"\g<1>{_HIDDEN}", shown)
    return shown


def has_secret(query: str) -> bool:
    """Tell whether one of the options of a URI is named like a secret.

    >>> has_secret("sv=2024&sig=abc"), has_secret("x=1.jpg")
    (True, False)
    """
    names = (option.partition("=")[0] for option in query.split("&"))
    return any(_SECRET_NAME.fullmatch(name) for name in names)


def make_values_safe(values: Any, known: object = None) -> Any:  # noqa: ANN401 (what JSON holds)
    """Give nested settings as plain values with ``make_safe`` done to every text; ``known`` is them, too.

    >>> make_values_safe({"uri": "http://me:hush@host", "epochs": 3})
    {'uri': 'http://***@host', 'epochs': 3}
    """
    secrets = find_secrets([values, known])
    return _hide(values, secrets)


def _hide(values: Any, secrets: frozenset[str]) -> Any:  # noqa: ANN401
    if isinstance(values, Mapping):
        return {
            key: _HIDDEN
            if isinstance(value, str) and _SECRET_NAME.fullmatch(str(key))
            else _hide(value, secrets)
            for key, value in values.items()
        }
    if isinstance(values, list | tuple):
        return [_hide(value, secrets) for value in values]
    return make_safe(values, secrets) if isinstance(values, str) else values


def _find(known: object) -> Iterator[str]:
    if isinstance(known, frozenset):
        yield from known  # found before
    elif isinstance(known, BaseModel):
        yield from _find(known.model_dump(by_alias=True))
    elif isinstance(known, Mapping):
        for name, value in known.items():
            if isinstance(value, str) and _SECRET_NAME.fullmatch(str(name)):
                yield value
            else:
                yield from _find(value)
    elif isinstance(known, str):
        yield from _find_in_uri(known)
    elif isinstance(known, Iterable) and not isinstance(known, bytes):
        for value in known:
            yield from _find(value)


def _find_in_uri(text: str) -> Iterator[str]:
    for authority, _, query in _URI.findall(text):
        login, _, password = authority.rpartition("@")[0].partition(":")
        if password:
            yield from (login, password, unquote(password))
        for option in query.split("&"):
            name, separator, value = option.partition("=")
            if separator and name not in HARMLESS_OPTIONS:
                yield from (value, unquote(value))
