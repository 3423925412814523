"""API keys: read once, compared in constant time, shown nowhere.

Owns where a request may carry its key: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``. Refuses keys too
short to withstand guessing.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from detector.errors import SettingsError
from detector.serving.serve_settings import KEY_VARIABLE, ServeSettings

_SHORTEST = 16
_BEARER = "bearer "


class Keys:
    """The accepted keys; without any, everybody is admitted."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def admit(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request's headers carry an accepted key, or none is needed.

        >>> Keys(["0123456789abcdef"]).admit({"authorization": "Bearer 0123456789abcdef"})
        True
        """
        if not self._digests:
            return True
        authorization = headers.get("authorization", "")
        is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
        # A proxy may put a token of its own where a bearer's stands.
        given = [authorization[len(_BEARER) :] if is_bearer else "", headers.get("x-api-key", "")]
        # All of them, whichever fits: neither the time nor a key's length tells anything.
        pairs = [(_digest(key.strip()), known) for key in given for known in self._digests]
        return sum(hmac.compare_digest(digest, known) for digest, known in pairs) > 0


def read_keys(settings: ServeSettings) -> Keys:
    """Read the keys of the environment and of ``serve.api_key_file``.

    Raises ``SettingsError`` when the file can't be read or holds no key, or a key has fewer than 16
    characters, or characters that no header can carry.
    """
    keys = []
    if settings.api_key is not None:
        keys.append(_check(settings.api_key.get_secret_value().strip(), KEY_VARIABLE))
    if settings.api_key_file is not None:
        where = f"serve.api_key_file {settings.api_key_file}"
        try:
            lines = settings.api_key_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{where} can't be read: {type(error).__name__}") from None
        found = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        if not found:
            raise SettingsError(f"{where} holds no key")
        keys += [_check(key, where) for key in found]
    return Keys(keys)


def _check(key: str, where: str) -> str:
    if len(key) < _SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            f"{where}: a key has {_SHORTEST} or more ASCII characters, no spaces: openssl rand -hex 32"
        )
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
