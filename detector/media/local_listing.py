"""Files of this machine, folder by folder: every entry that is no folder becomes one row.

Owns the walk: symbolic links, hidden names, pipes and devices, names that are no UTF-8, folders that can't
be read, files found twice. Refuses to open files and to enter folders that are pruned.
"""

# Strings and os calls: making a Path for each of 100,000 files takes longer than listing them.
# ruff: noqa: PTH112, PTH114, PTH116, PTH118, PTH119

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from detector.errors import SettingsError
from detector.media.globs import compile_below, expand_glob, split_glob
from detector.media.selection import MediaRows, Selection
from detector.settings import MediaSettings

_LONE_BYTE = re.compile("[\udc80-\udcff]")  # how Python's file names hold bytes that are no UTF-8


@dataclass
class _Walk:
    """One walk below ``top``, whose name without symbolic links is ``real_top``; folders still to read.

    ``only`` matches the wanted files by their path from ``start`` on. Linked folders are read last: a
    file is found by its real name first.
    """

    top: str
    real_top: str
    only: re.Pattern[str] | None
    pending: list[tuple[str, bool]] = field(default_factory=list)
    linked: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def start(self) -> int:
        return len(self.top.rstrip("/")) + 1

    def find_real_name(self, path: str) -> str:
        return f"{self.real_top.rstrip('/')}/{path[self.start :]}".rstrip("/")


class LocalListing:
    """Walk local paths into ``rows``; nothing in the ``pruned`` folders is entered or listed."""

    def __init__(
        self, rows: MediaRows, selection: Selection, settings: MediaSettings, pruned: Iterable[str] = ()
    ) -> None:
        self._rows = rows
        self._judge = selection.judge
        self._settings = settings
        self._pruned = [os.path.realpath(folder) for folder in pruned]

    def list_path(self, path: str) -> None:
        """List an absolute path: a file, a folder (also by a symbolic link to it), or a glob.

        Raises ``SettingsError`` when there is nothing, or when the folder can't be read.
        """
        if os.path.lexists(path):
            self._list_match(path, path, ())
            return
        folder, parts = split_glob(path)
        if not parts:
            raise SettingsError(f"media.paths: {path} does not exist")
        offered, is_matched = self._rows.offered, False
        for match, rest in expand_glob(folder, parts, self._list_names) if os.path.isdir(folder) else ():
            self._list_match(folder, match, rest)
            is_matched |= not rest
        if not is_matched and self._rows.offered == offered:
            raise SettingsError(f"media.paths: {path} matches nothing")

    def add_file(self, path: str, key: str, *, hidden: bool = False) -> None:
        """Add the row of one file by its path; of a missing one without size and time, to be scored."""
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            status = None  # whoever reads it meets the same error, and gives it a row with its class
        self._add(key, path, os.path.basename(path), status, hidden=hidden)

    def _list_names(self, folder: str) -> Iterator[tuple[str, bool]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name, self._is_folder(entry)

    def _list_match(self, given: str, path: str, rest: tuple[str, ...]) -> None:
        hidden = any(part.startswith(".") for part in path[len(given) :].split("/"))
        real = os.path.realpath(path)
        if any(real == pruned or real.startswith(pruned + "/") for pruned in self._pruned):
            return
        follows = path == given or self._settings.follow_symlinks
        if os.path.isdir(path) and (follows or not os.path.islink(path)):
            only = compile_below(rest, recursive=self._settings.recursive) if rest else None
            self._walk(_Walk(path, real, only), hidden=hidden, is_given=path == given)
        elif not rest:
            parent, name = os.path.split(path)
            key = os.path.join(os.path.realpath(parent), name)
            self.add_file(path, key, hidden=hidden or name.startswith("."))

    def _walk(self, walk: _Walk, *, hidden: bool, is_given: bool) -> None:
        seen = {_identify(folder) for folder in self._pruned if os.path.isdir(folder)}
        walk.pending.append((walk.top, hidden))
        while walk.pending or walk.linked:
            folder, hidden = walk.pending.pop() if walk.pending else walk.linked.pop()
            try:
                identity = _identify(folder)
                if identity not in seen:
                    seen.add(identity)
                    self._read_folder(walk, folder, hidden=hidden)
            except FileNotFoundError:
                continue  # removed since its parent was read
            except OSError as error:
                if is_given and folder == walk.top:
                    raise SettingsError(f"media.paths: {folder} can't be read: {error.strerror}") from error
                key = walk.find_real_name(folder)
                self._rows.add(key, _show_bytes(folder), None, None, "unreadable_folder")

    def _read_folder(self, walk: _Walk, folder: str, *, hidden: bool) -> None:
        prefix = folder.rstrip("/") + "/"
        real_prefix = walk.find_real_name(folder) + "/"
        descends = self._settings.recursive or walk.only is not None
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                entry_hidden = hidden or entry.name.startswith(".")
                if self._is_folder(entry):
                    if descends:
                        (walk.linked if entry.is_symlink() else walk.pending).append((path, entry_hidden))
                elif walk.only is None or walk.only.fullmatch(path, walk.start):
                    self._add_entry(entry, path, real_prefix + entry.name, hidden=entry_hidden)

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir(follow_symlinks=self._settings.follow_symlinks)
        except OSError:  # a link in a circle
            return False

    def _add_entry(self, entry: os.DirEntry[str], path: str, key: str, *, hidden: bool) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # removed since its folder was read: no entry any more
        except OSError:
            status = None
        self._add(key, path, entry.name, status, hidden=hidden)

    def _add(self, key: str, path: str, name: str, status: os.stat_result | None, *, hidden: bool) -> None:
        if status is not None and self._settings.follow_symlinks and stat.S_ISLNK(status.st_mode):
            with contextlib.suppress(OSError):  # a link to nothing stays a link
                status = os.stat(path)
        size_bytes = modified_us = None
        is_file = status is None or stat.S_ISREG(status.st_mode)
        if status is not None and is_file:
            size_bytes, modified_us = status.st_size, status.st_mtime_ns // 1000
        uri = path if path.isascii() else _show_bytes(path)
        if hidden:
            reason: str | None = "hidden"
        elif not is_file:
            reason = "symlink" if status is not None and stat.S_ISLNK(status.st_mode) else "not_a_file"
        elif uri != path:
            reason = "name_not_utf8"
        else:
            reason = self._judge(uri, name, modified_us)
        self._rows.add(key, uri, size_bytes, modified_us, reason)


def _identify(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _show_bytes(path: str) -> str:
    return _LONE_BYTE.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", path)
