"""Where a medium lives: plain local paths, or URIs that pyarrow.fs opens; and reading its bytes.

Owns media_uri (an absolute local path as people type it, or a URI without options), the connection options
of the given roots, and the checks around one read. Refuses to let a connection option or a password into
a media_uri or a message. Lists nothing (see ``listing``).
"""

import functools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO
from urllib.parse import parse_qsl, unquote

import pyarrow as pa
from pyarrow import fs

from detector.errors import (
    EmptyMediaError,
    MediaChangedError,
    MediaNotFoundError,
    SettingsError,
    UnreadableMediaError,
)
from detector.media.globs import split_glob
from detector.media.local_opening import open_descriptor
from detector.redaction import HARMLESS_OPTIONS, has_secret

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
S3_SCHEMES = ("s3", "s3a", "s3n")

_FILE_URI = re.compile(r"file:(?://(?:localhost)?)?(?=/)")
_REMOTE_URI = re.compile(r"(?s)([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?(.*)")
_QUERY = re.compile(r"(?s)\?([\w-]+=.*)$")  # name=value; any other "?" in a given path is a glob's


@dataclass(frozen=True)
class Location:
    """A remote path in its parts: ``root`` (scheme and authority, no secret), ``key``, and how to connect.

    ``connection`` is the root as it was given, with credentials and options, for pyarrow alone;
    ``is_plain`` when there are none.
    """

    root: str
    key: str
    connection: str = field(repr=False)
    is_plain: bool

    @property
    def uri(self) -> str:
        """The media_uri of this location."""
        return f"{self.root}/{self.key}"


@dataclass(frozen=True)
class FileAccess:
    """How to open files: the connection of each root that was given with options. Travels to executors.

    ``folders`` are the local folders that were given: what lies below one is reached without symbolic links.
    """

    connections: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    folders: tuple[str, ...] = ()

    def open_filesystem(self, media_uri: str) -> tuple[fs.FileSystem, str]:
        """Open the filesystem of a remote ``media_uri`` (once per process) and name the path inside it.

        Raises ``UnreadableMediaError`` when pyarrow knows no such filesystem or refuses an option.
        """
        location = parse_remote(media_uri, has_options=False)
        connection = dict(self.connections).get(location.root, location.connection)
        try:
            filesystem, base = _connect(connection)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = redact(str(error), connection)
            raise UnreadableMediaError(f"{location.root} can't be opened: {reason}") from None
        return filesystem, f"{base.rstrip('/')}/{location.key}".rstrip("/")

    def redact(self, message: str, media_uri: str) -> str:
        """Take credentials and option values of the root of ``media_uri`` out of ``message``."""
        location = parse_remote(media_uri, has_options=False)
        return redact(message, dict(self.connections).get(location.root, location.connection))

    def split_local(self, path: str) -> tuple[str, list[str]]:
        """Split a local path into the deepest given folder above it, and the names below that.

        >>> FileAccess(folders=("/photos",)).split_local("/photos/2024/a.jpg")
        ('/photos', ['2024', 'a.jpg'])
        """
        above = [folder for folder in self.folders if path.startswith(folder.rstrip("/") + "/")]
        folder = max(above, key=len, default=os.path.dirname(path))  # noqa: PTH120 (strings, as elsewhere)
        return folder, path[len(folder.rstrip("/")) + 1 :].split("/")


def build_access(paths: Iterable[str]) -> FileAccess:
    """Collect the connection options and folders of the given paths, to open their files anywhere.

    Raises ``SettingsError`` when one root is given with two different sets of options.
    """
    connections: dict[str, str] = {}
    folders: set[str] = set()
    for path in paths:
        if not is_remote(path):
            name = name_medium(path)
            folders |= {name, split_glob(name)[0]}  # a name may hold a glob's signs
            continue
        location = parse_remote(path)
        if location.is_plain:
            continue
        if connections.setdefault(location.root, location.connection) != location.connection:
            raise SettingsError(f"media.paths: {location.root} is given with two different sets of options")
    return FileAccess(tuple(sorted(connections.items())), tuple(sorted(folders)))


def is_remote(path: str) -> bool:
    """Tell whether ``path`` is a URI of another filesystem than this machine's.

    >>> is_remote("s3://bucket/key"), is_remote("/photos/a.jpg"), is_remote("file:///photos")
    (True, False, False)
    """
    return _FILE_URI.match(path) is None and _REMOTE_URI.match(path) is not None


def name_medium(path: str, *, has_options: bool = True) -> str:
    """Give the media_uri of a path as typed: an absolute path, or a URI without options and password.

    Local paths stay as they are typed; only those written as file: URIs are percent-decoded. The keys of
    remote files may hold "?name=value" themselves: read none of it with ``has_options`` False, unless it's
    a signature or token, which no media_uri may hold.

    >>> name_medium("file:///photos/my%20cat.jpg"), name_medium("/photos//100%25.jpg")
    ('/photos/my cat.jpg', '/photos/100%25.jpg')
    >>> name_medium("s3://key:secret@bucket/a/?region=eu-west-1")
    's3://bucket/a'
    """
    if is_remote(path):
        return parse_remote(path, has_options=has_options).uri.rstrip("/")
    scheme = _FILE_URI.match(path)
    path = path if scheme is None else unquote(path[scheme.end() :])
    return os.path.abspath(path)  # noqa: PTH100 (Path.resolve would follow symbolic links)


def parse_remote(path: str, *, has_options: bool = True) -> Location:
    """Split a URI into its root, its key, and its options and credentials.

    >>> parse_remote("abfss://photos@account.dfs.core.windows.net/a/b.jpg").root
    'abfss://photos@account.dfs.core.windows.net'
    """
    query = _QUERY.search(path)
    if query is not None and not has_options and not has_secret(query[1]):
        query = None
    matched = _REMOTE_URI.fullmatch(path if query is None else path[: query.start()])
    if matched is None:
        raise SettingsError(f"{path.partition('?')[0]} is no URI of a remote file")
    scheme, authority, key = matched.groups()
    credentials, _, host = authority.rpartition("@")
    # In object stores the user is a credential; elsewhere it names a container or a person.
    user = "" if scheme in (*S3_SCHEMES, "gs") else credentials.partition(":")[0]
    arrow_scheme = "s3" if scheme in S3_SCHEMES else scheme
    root = f"{scheme}://{user}@{host}" if user else f"{scheme}://{host}"
    connection = f"{arrow_scheme}://{authority}{'' if query is None else query[0]}"
    return Location(root, key, connection, is_plain=query is None and credentials == user)


def redact(message: str, connection: str) -> str:
    """Put *** for the credentials and option values of ``connection``; keep the first line, 200 characters.

    >>> redact("no such key topsecret", "s3://me:topsecret@bucket?region=eu-west-1")
    'no such key ***'
    """
    query = _QUERY.search(connection)
    pairs = [] if query is None else [pair.partition("=") for pair in query[1].split("&")]
    secrets = {value for name, _, value in pairs if name not in HARMLESS_OPTIONS}
    secrets |= {value for name, value in parse_qsl(query[1] if query else "") if name not in HARMLESS_OPTIONS}
    authority = connection.partition("://")[2].partition("?")[0]
    user, _, password = authority.rpartition("@")[0].partition(":")
    secrets |= {user, password, unquote(password)} if password else set()
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        message = message.replace(secret, "***")
    return (message.splitlines() or [""])[0][:200]


def count_microseconds(moment: datetime) -> int:
    """Count the microseconds since 1970 of an aware time, without floats.

    >>> count_microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (moment - EPOCH) // timedelta(microseconds=1)


def read_content(
    media_uri: str,
    *,
    size_bytes: int | None,
    modified_at: datetime | None,
    access: FileAccess,
    follow_symlinks: bool,
) -> bytes:
    """Read all bytes of one medium, and make sure that it's the version that was listed.

    ``modified_at`` is aware, whole microseconds as the file's own time is cut to; of remote files the size
    alone is checked. None isn't checked. Never waits for a pipe or a device.

    Raises ``MediaNotFoundError``, ``EmptyMediaError``, ``MediaChangedError`` when size or time differ from
    the listed ones or change during the read, and ``UnreadableMediaError`` for everything else.
    """
    if is_remote(media_uri):
        content = _read_remote(media_uri, size_bytes, access)
    else:
        modified_us = None if modified_at is None else count_microseconds(modified_at)
        path = access.split_local(name_medium(media_uri))
        content = _read_local(path, size_bytes, modified_us, follow_symlinks=follow_symlinks)
    if not content:
        raise EmptyMediaError("the file has no bytes")
    return content


@contextmanager
def open_content(
    media_uri: str,
    *,
    size_bytes: int | None,
    modified_at: datetime | None,
    access: FileAccess,
    follow_symlinks: bool,
) -> Iterator[BinaryIO]:
    """Open one medium to read parts of it, and make sure before and after that it's the version listed.

    Arguments and errors as ``read_content``; the check after it, when the caller leaves without an error,
    raises ``MediaChangedError``.
    """
    if is_remote(media_uri):
        opened = _open_remote(media_uri, size_bytes, access)
    else:
        modified_us = None if modified_at is None else count_microseconds(modified_at)
        path = access.split_local(name_medium(media_uri))
        opened = _open_local(path, size_bytes, modified_us, follow_symlinks=follow_symlinks)
    with opened as file:
        yield file


@contextmanager
def _open_local(
    path: tuple[str, list[str]], size_bytes: int | None, modified_us: int | None, *, follow_symlinks: bool
) -> Iterator[BinaryIO]:
    with _explain_local_errors():
        descriptor = open_descriptor(*path, follow_symlinks=follow_symlinks)
        opened = open(descriptor, "rb")  # noqa: PTH123, SIM115 (a descriptor, which is closed below)
    with opened as file:
        before = _check_listed(file, size_bytes, modified_us)
        yield file
        _check_unchanged(file, before)


@contextmanager
def _open_remote(media_uri: str, size_bytes: int | None, access: FileAccess) -> Iterator[BinaryIO]:
    filesystem, path = access.open_filesystem(media_uri)
    try:
        file = filesystem.open_input_file(path)
    except FileNotFoundError as error:
        raise MediaNotFoundError("the file is no longer there") from error
    except (pa.ArrowException, OSError) as error:
        raise UnreadableMediaError(
            f"the file can't be read: {access.redact(str(error), media_uri)}"
        ) from None
    with file:
        _compare(size_bytes, file.size(), "bytes")
        yield file


@contextmanager
def _explain_local_errors() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaNotFoundError("the file is no longer there") from error
    except OSError as error:
        raise UnreadableMediaError(f"the file can't be read: {error.strerror}") from error
    except ValueError as error:  # a null byte, or a character that no file name can hold here
        raise MediaNotFoundError("no file can have this name") from error


def _read_local(
    path: tuple[str, list[str]], size_bytes: int | None, modified_us: int | None, *, follow_symlinks: bool
) -> bytes:
    with _explain_local_errors():
        descriptor = open_descriptor(*path, follow_symlinks=follow_symlinks)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            before = _check_listed(file, size_bytes, modified_us)
            content = file.read(before.st_size + 1)
            _compare(before.st_size, len(content), "bytes")
            _check_unchanged(file, before)
            return content


def _check_listed(file: BinaryIO, size_bytes: int | None, modified_us: int | None) -> os.stat_result:
    before = os.fstat(file.fileno())
    if not stat.S_ISREG(before.st_mode):
        raise UnreadableMediaError("it's no regular file (a folder, pipe, socket or device)")
    _compare(size_bytes, before.st_size, "bytes")
    _compare(modified_us, before.st_mtime_ns // 1000, "microseconds of modification time")
    return before


def _check_unchanged(file: BinaryIO, before: os.stat_result) -> None:
    after = os.fstat(file.fileno())
    _compare(before.st_size, after.st_size, "bytes")
    _compare(before.st_mtime_ns, after.st_mtime_ns, "nanoseconds of modification time")


def _read_remote(media_uri: str, size_bytes: int | None, access: FileAccess) -> bytes:
    filesystem, path = access.open_filesystem(media_uri)
    try:
        with filesystem.open_input_file(path) as file:
            size = file.size()
            _compare(size_bytes, size, "bytes")
            content: bytes = file.read(size)
    except FileNotFoundError as error:
        raise MediaNotFoundError("the file is no longer there") from error
    except (pa.ArrowException, OSError) as error:
        raise UnreadableMediaError(
            f"the file can't be read: {access.redact(str(error), media_uri)}"
        ) from None
    _compare(size, len(content), "bytes")
    return content


def _compare(expected: int | None, found: int, what: str) -> None:
    if expected is not None and expected != found:
        raise MediaChangedError(f"the file changed: {expected} {what} expected, {found} found")


@functools.cache
def _connect(connection: str) -> tuple[fs.FileSystem, str]:
    filesystem, base = fs.FileSystem.from_uri(connection)
    return filesystem, base
