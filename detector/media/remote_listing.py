"""Files of object stores and HDFS, listed through pyarrow.fs by the same rules as local ones.

Owns the paging of folders and keys into rows. Refuses to read objects. There are no symbolic links, pipes
or broken names here; S3 times are cut to seconds, since S3 tells one object's time no finer than that.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow import fs

from detector.errors import SettingsError, UnreadableMediaError
from detector.media.filesystem import S3_SCHEMES, FileAccess, parse_remote
from detector.media.globs import compile_below, expand_glob, split_glob
from detector.media.selection import MediaRows, Selection
from detector.settings import MediaSettings

_SECOND_NS = 1_000_000_000


class RemoteListing:
    """List remote folders, files and globs into ``rows``; nothing below the ``pruned`` URIs is listed."""

    def __init__(
        self,
        rows: MediaRows,
        selection: Selection,
        settings: MediaSettings,
        access: FileAccess,
        pruned: Iterable[str] = (),
    ) -> None:
        self._rows = rows
        self._judge = selection.judge
        self._recursive = settings.recursive
        self._access = access
        self._pruned = tuple(uri + "/" for uri in pruned)

    def list_uri(self, media_uri: str) -> None:
        """List a URI without options: one file, a folder, or a glob in its key.

        Raises ``SettingsError`` when there is nothing, or when the filesystem refuses.
        """
        try:
            is_matched = self._list_uri(media_uri)
        except UnreadableMediaError as error:
            raise SettingsError(f"media.paths: {error}") from error
        except (pa.ArrowException, OSError) as error:
            reason = self._access.redact(str(error), media_uri)
            raise SettingsError(f"media.paths: {media_uri} can't be listed: {reason}") from None
        if not is_matched:
            raise SettingsError(f"media.paths: {media_uri} does not exist, or matches nothing")

    def _list_uri(self, media_uri: str) -> bool:
        filesystem, path = self._access.open_filesystem(media_uri)
        location = parse_remote(media_uri, has_options=False)
        inner = path.removesuffix(location.key).rstrip("/") + "/"

        def list_names(folder: str) -> Iterator[tuple[str, bool]]:
            for info in filesystem.get_file_info(fs.FileSelector(folder)):
                yield info.base_name, info.type == fs.FileType.Directory

        given = path or "/"
        matches: Iterable[tuple[str, tuple[str, ...]]] = [(given, ())]
        if filesystem.get_file_info(given).type == fs.FileType.NotFound:
            given, parts = split_glob(given)
            matches = expand_glob(given, parts, list_names) if parts else ()
        offered, is_matched = self._rows.offered, False
        for match, rest in matches:
            top = filesystem.get_file_info(match)
            for info in self._list_match(filesystem, top, rest):
                hidden = any(part.startswith(".") for part in info.path[len(given) :].split("/"))
                hidden = hidden or info.base_name.startswith(".")
                self.add_file(f"{location.root}/{info.path[len(inner) :]}", info, hidden=hidden)
            is_matched |= not rest
        return is_matched or self._rows.offered > offered

    def _list_match(
        self, filesystem: fs.FileSystem, top: fs.FileInfo, rest: tuple[str, ...]
    ) -> Iterator[fs.FileInfo]:
        if top.type != fs.FileType.Directory:
            if not rest:
                yield top
            return
        only = compile_below(rest, recursive=self._recursive) if rest else None
        recursive = self._recursive or only is not None
        start = len(top.path.rstrip("/")) + 1
        for info in filesystem.get_file_info(fs.FileSelector(top.path, recursive=recursive)):
            is_wanted = only is None or only.fullmatch(info.path, start)
            if is_wanted and info.type != fs.FileType.Directory:
                yield info

    def add_file(self, media_uri: str, info: fs.FileInfo | None, *, hidden: bool = False) -> None:
        """Add the row of one file; of a missing or unreachable one (None) without size and time."""
        if media_uri.startswith(self._pruned):
            return
        size_bytes = modified_us = None
        if info is not None and info.type == fs.FileType.File:
            size_bytes, modified_us = info.size, _cut_time(media_uri, info.mtime_ns)
        if hidden:
            reason: str | None = "hidden"
        elif info is not None and info.type in (fs.FileType.Directory, fs.FileType.Unknown):
            reason = "not_a_file"
        else:
            reason = self._judge(media_uri, media_uri.rpartition("/")[2], modified_us)
        self._rows.add(media_uri, media_uri, size_bytes, modified_us, reason)


def _cut_time(media_uri: str, modified_ns: int | None) -> int | None:
    """Cut a time to microseconds, those of S3 to seconds.

    >>> _cut_time("s3://bucket/key", 1_999_999_999), _cut_time("hdfs://name/key", 1_999_999_999)
    (1000000, 1999999)
    """
    if modified_ns is None:
        return None
    if media_uri.startswith(tuple(f"{scheme}://" for scheme in S3_SCHEMES)):
        modified_ns -= modified_ns % _SECOND_NS
    return modified_ns // 1000
