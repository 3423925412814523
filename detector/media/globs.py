"""Globs in given paths: where they begin, what they match, and which folders they need.

Owns the meaning of ``*``, ``?``, ``[...]`` and ``**`` for local and remote paths alike; a part that exists
literally wins over its reading as a glob. Refuses a reversed range such as ``[9-0]``. Touches no filesystem.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from detector.errors import SettingsError

ANY_DEPTH = "**"

_TOKENS = re.compile(r"((?<![^/])\*\*(?:/|\Z)|\*|\?|\[!?\]?[^\]/]*\])")


def split_glob(path: str) -> tuple[str, tuple[str, ...]]:
    """Split a path before its first part with a wildcard: the folder to start from, and the parts.

    >>> split_glob("/photos/2024-*/cam?/**/*.jpg")
    ('/photos', ('2024-*', 'cam?', '**', '*.jpg'))
    """
    parts = path.split("/")
    first = next((index for index, part in enumerate(parts) if _TOKENS.search(part)), len(parts))
    return "/".join(parts[:first]) or "/", tuple(parts[first:])


def compile_glob(pattern: str, *, tail: str = "") -> re.Pattern[str]:
    """Compile a glob, and the regular expression ``tail`` after it; ``**/`` alone spans parts.

    Raises ``SettingsError`` for a range that ends before it begins.

    >>> bool(compile_glob("**/cam[12]/*.jpg").fullmatch("a/b/cam2/x.jpg"))
    True
    """
    tokens = enumerate(_TOKENS.split(pattern))
    expression = "".join(
        _translate_token(token) if index % 2 else re.escape(token) for index, token in tokens
    )
    try:
        return re.compile(f"(?s:{expression}{tail})")
    except re.error as error:
        raise SettingsError(f"media.paths: {pattern} is no valid glob: {error}") from error


def compile_below(parts: Sequence[str], *, recursive: bool) -> re.Pattern[str]:
    """Compile the parts from the first ``**`` on, for the paths of files below that folder.

    A folder that matches stands for its files, also of the folders below it when ``recursive``.
    """
    return compile_glob("/".join(parts), tail="(?:/.*)?" if recursive else "(?:/[^/]*)?")


def expand_glob(
    folder: str, parts: tuple[str, ...], list_folder: Callable[[str], Iterable[tuple[str, bool]]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Follow a glob part by part from ``folder``, listing only folders that can match.

    ``list_folder`` gives (name, is a folder) of each entry. Yields (path, rest): every match, with
    ``rest`` empty, and every folder below which the parts ``rest``, from a ``**`` on, are to be matched. A
    folder that can't be listed is yielded so, too: who walks it meets the same error and reports it.
    """
    pending = [(folder, parts)]
    while pending:
        folder, parts = pending.pop()
        if not parts or parts[0] == ANY_DEPTH:
            yield folder, parts
            continue
        try:
            entries = list(list_folder(folder))
        except OSError:
            yield folder, (ANY_DEPTH, *parts)
            continue
        pattern = compile_glob(parts[0])
        literal = [entry for entry in entries if entry[0] == parts[0]]
        for name, is_folder in literal or [entry for entry in entries if pattern.fullmatch(entry[0])]:
            if is_folder or len(parts) == 1:
                pending.append((f"{folder.rstrip('/')}/{name}", parts[1:]))


def _translate_token(token: str) -> str:
    if token.startswith("["):
        negated = token.startswith("[!")
        members = re.sub(r"([\\\[\]&~|^])", r"\\\1", token[1 + negated : -1])
        return f"[{'^' if negated else ''}{members}]"
    return {"*": "[^/]*", "?": "[^/]", "**/": "(?:[^/]+/)*", "**": ".*"}[token]
