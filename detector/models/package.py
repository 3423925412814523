"""A model as files that travel: fetched, named by a digest, packed, unpacked once per machine.

Owns the machine's model cache. A cache entry is trusted only while its bytes have the digest that names
it. Refuses a cache folder that others can write to, and archives that hold anything but plain files.
"""

import atexit
import fcntl
import hashlib
import io
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
from pyarrow import fs

from detector.errors import ModelError
from detector.models.signature import FROZEN_GRAPH, SAVED_MODEL, locate_model
from detector.redaction import make_safe

_BLOCK_BYTES = 1024 * 1024
_UNUSED_S = 7 * 24 * 3600
_STAGING = ".unpacking-"
_LAYOUTS = (  # what tells a layout, and what of it is the model
    ("", ""),
    (SAVED_MODEL, ""),
    (f"saved_model/{SAVED_MODEL}", "saved_model"),
    (FROZEN_GRAPH, FROZEN_GRAPH),
)


def fetch_model(uri: str, folder: Path | None = None) -> Path:
    """Give ``uri`` as a local path: local ones as they are, others copied into ``folder``.

    ``folder`` is by default a temporary one that goes when this process ends.
    Takes s3://, gs://, abfss://, hdfs:// and whatever else pyarrow.fs opens, with the credentials that it
    finds. Of a folder only the model is copied. Raises ``ModelError`` when it can't be read.
    """
    parts = urlsplit(uri)
    if parts.scheme in {"", "file"}:
        return Path(url2pathname(parts.path) if parts.scheme else uri)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="detector-model-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _copy_remote(uri, folder)


def compute_digest(path: Path) -> str:
    """Compute the SHA-256 of a model: its files' relative names and bytes, nothing else.

    ``path`` is a SavedModel folder, of which every file below counts, or a frozen graph file, whose name
    doesn't. Times, owners and the folder's own name change nothing.
    """
    digest = hashlib.sha256()
    for name, file in _list_files(path):
        size = file.stat().st_size
        digest.update(f"{len(name.encode())} {name} {size}\n".encode())
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def compute_size(path: Path) -> int:
    """Add up the bytes of a model's files."""
    return sum(file.stat().st_size for _, file in _list_files(path))


def pack_model(path: Path) -> bytes:
    """Pack a model into an uncompressed tar: equal models give equal bytes.

    ``path`` is a SavedModel folder or a frozen graph file; ``unpack_model`` takes the bytes apart.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as packed:
        for name, file in _list_files(path):
            member = tarfile.TarInfo(name)
            member.size = file.stat().st_size
            with file.open("rb") as opened:
                packed.addfile(member, opened)
    return archive.getvalue()


def unpack_model(source: Callable[[], bytes] | str, digest: str, cache_root: Path | None = None) -> Path:
    """Give the model of ``digest`` from this machine's cache; the first process to ask unpacks it.

    ``source`` gives the bytes of ``pack_model``, or is a URI to read the model from where it is too large
    to be sent; it is used only when the cache has no intact entry. The cache is a folder of this user in
    ``cache_root`` (default: the temporary folder); entries that nobody asked for in a week go when a new
    one comes. Returns a SavedModel folder or a frozen graph file. Raises ``ModelError`` when the source
    can't be read or is another model, or when the cache folder isn't this user's alone.
    """
    cache = _open_cache(cache_root or Path(tempfile.gettempdir()))
    entry = cache / digest
    if not _is_intact(entry):
        with _lock(cache):
            if not _is_intact(entry):
                _fill(cache, entry, source)
    return locate_model(entry)


def _list_files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield FROZEN_GRAPH, path
        return
    files = ((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    yield from sorted((f"saved_model/{name}", file) for name, file in files)


def _copy_remote(uri: str, folder: Path) -> Path:
    try:
        filesystem, remote = fs.FileSystem.from_uri(uri)
        remote = remote.rstrip("/").removesuffix(f"/{SAVED_MODEL}")
        copied: Path = folder / remote.rpartition("/")[2]
        markers = [posixpath.join(remote, marker).rstrip("/") for marker, _ in _LAYOUTS]
        for (_, wanted), info in zip(_LAYOUTS, filesystem.get_file_info(markers), strict=True):
            if info.is_file:
                target = copied / wanted
                target.parent.mkdir(parents=True, exist_ok=True)
                fs.copy_files(
                    posixpath.join(remote, wanted).rstrip("/"), str(target), source_filesystem=filesystem
                )
                return copied
    except (OSError, pa.ArrowException) as error:
        # The cause repeats the URI, which may hold a key.
        shown = make_safe(str(error).replace(uri, _redact(uri)), uri)
        raise ModelError(f"{_redact(uri)}: the model can't be read: {shown}") from None
    raise ModelError(
        f"{_redact(uri)}: found no model; expected a folder with {SAVED_MODEL}, saved_model/{SAVED_MODEL} or "
        f"{FROZEN_GRAPH}, or a frozen graph .pb file"
    )


def _redact(uri: str) -> str:
    parts = urlsplit(uri)
    if not parts.scheme:
        return uri
    host = parts.netloc.rpartition("@")[2] if ":" in parts.netloc.rpartition("@")[0] else parts.netloc
    return f"{parts.scheme}://{host}{parts.path}"


def _open_cache(root: Path) -> Path:
    cache = root / f"detector-models-{os.getuid()}"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = cache.lstat()
    writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or writable:
        raise ModelError(
            f"{cache}: unpacked models must lie in a folder that user {os.getuid()} owns and nobody else can "
            "write to; remove it, or set TMPDIR to another place"
        )
    return cache


@contextmanager
def _lock(cache: Path) -> Iterator[None]:
    # The kernel lets go of it when its process dies, however that happens.
    with (cache / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_intact(entry: Path) -> bool:
    try:
        os.utime(entry)  # first, so that nobody removes as unused what is about to be used
        return compute_digest(locate_model(entry)) == entry.name
    except (ModelError, OSError):
        return False


def _fill(cache: Path, entry: Path, source: Callable[[], bytes] | str) -> None:
    # The lock is held: what looks unfinished was left by a process that died.
    _remove_unused(cache)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=cache))
    try:
        content = staging / "content"
        content.mkdir()
        if isinstance(source, str):
            _copy(locate_model(fetch_model(source, staging)), content)
        else:
            _extract(source(), content)
        found = compute_digest(locate_model(content))
        if found != entry.name:
            shown = _redact(source) if isinstance(source, str) else "packed model"
            raise ModelError(
                f"{shown}: its digest is {found[:12]}, not {entry.name[:12]} as when the job "
                "started; was it replaced? Start the job again."
            )
        shutil.rmtree(entry, ignore_errors=True)
        content.rename(entry)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy(located: Path, content: Path) -> None:
    if located.is_dir():
        shutil.copytree(located, content / "saved_model")
    else:
        shutil.copyfile(located, content / FROZEN_GRAPH)


def _extract(archive: bytes, content: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as packed:
            for member in packed:
                name = PurePosixPath(member.name)
                if not member.isfile() or name.is_absolute() or ".." in name.parts:
                    raise ModelError(
                        f"packed model: refused to unpack {member.name!r}: not a plain file inside"
                    )
                packed.extract(member, content, filter="data")
    except tarfile.TarError as error:
        raise ModelError(f"packed model: damaged: {error}") from error


def _remove_unused(cache: Path) -> None:
    for entry in cache.iterdir():
        if entry.name.startswith(_STAGING) or (
            entry.is_dir() and time.time() - entry.stat().st_mtime > _UNUSED_S
        ):
            shutil.rmtree(entry, ignore_errors=True)
