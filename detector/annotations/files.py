"""The files below one folder, by name: pictures, annotation files.

Owns the walk. Refuses to open a file, and to follow a symbolic link to a folder or out of the root.
"""

# Strings and os calls: making a Path for each of 100,000 files takes longer than listing them.
# ruff: noqa: PTH118

import os
import re
from collections.abc import Iterator
from pathlib import Path

from detector.annotations.problems import Problem
from detector.errors import SettingsError

IMAGE_NAMES = re.compile(r".+\.(jpe?g|jpe|jfif|png|webp|bmp|dib|tiff?|gif|avif|ppm)")


def list_files(root: Path, names: re.Pattern[str], folder: str = "") -> tuple[list[str], list[Problem]]:
    """List the files below ``root / folder`` whose whole name, in lower case, matches ``names``; sorted.

    Paths are relative to ``root``, with "/" between folders. Names that begin with a dot are passed over in
    silence, as are pipes and devices; links that lead out of the root, nowhere, or to folders, names that are
    no UTF-8, and folders that can't be read become problems.
    """
    problems: list[Problem] = []
    real_root = os.path.realpath(root)
    found = [
        path
        for entry, path in _walk(root, folder, problems)
        if names.fullmatch(entry.name.lower()) and _is_usable(entry, path, real_root, problems)
    ]
    return sorted(found), sorted(problems, key=str)


def place_inside(root: Path, given: str | Path | None) -> str:
    """Express a folder relative to ``root``; "" for None and the root itself.

    Raises ``SettingsError`` when ``root`` or the folder is not there, or the one not inside the other.
    """
    if not root.is_dir():
        raise SettingsError(f"{root} is no folder: name the folder that holds the pictures")
    if given is None:
        return ""
    real, real_root = (root / given).resolve(), root.resolve()
    if not real.is_dir():
        raise SettingsError(f"{root / given} is no folder: name it relative to {root}")
    if not real.is_relative_to(real_root):
        raise SettingsError(f"{real} is not inside {root}: name a folder that holds both")
    inside = real.relative_to(real_root).as_posix()
    return "" if inside == "." else inside


def _walk(root: Path, folder: str, problems: list[Problem]) -> Iterator[tuple[os.DirEntry[str], str]]:
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(os.path.join(root, current)) as entries:
                for entry in entries:
                    path = f"{current}/{entry.name}".lstrip("/")
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    elif entry.is_symlink() and entry.is_dir():
                        problems.append(_report_link(path))
                    else:
                        yield entry, path
        except OSError as error:
            place, message = _show(current) or ".", f"the folder can't be read: {error.strerror}"
            problems.append(Problem("folder-unreadable", "error", place, None, message, "grant the right to"))


def _is_usable(entry: os.DirEntry[str], path: str, real_root: str, problems: list[Problem]) -> bool:
    if not path.isascii() and _show(path) != path:
        message = "its name, or that of a folder above it, is no UTF-8"
        problems.append(Problem("name-not-utf8", "warning", _show(path), None, message, "rename it"))
        return False
    if not entry.is_symlink():
        return entry.is_file()
    real = os.path.realpath(entry.path)
    is_inside = real.startswith(real_root.rstrip("/") + "/") and os.path.isfile(real)  # noqa: PTH113
    if not is_inside:
        problems.append(_report_link(path))
    return is_inside


def _report_link(path: str) -> Problem:
    message = "a symbolic link to a folder, out of the dataset's folder or to nowhere is not followed"
    return Problem("link-not-followed", "warning", _show(path), None, message, "copy what it means")


def _show(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
