"""Delta's jars in the environment's own Spark, so that spark-submit needs no --packages and no network.

Owns the lock file's form, the download, and what lies in pyspark's ``jars`` folder under ``delta-*.jar``.
Refuses every file whose SHA-256 is not the locked one.
"""

import hashlib
import http.client
import importlib.util
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import InstallationError

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
LOCK_PATH = Path(__file__).resolve().parents[2] / "conf" / "spark" / "delta-jars.lock"

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}) +(?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.-]+)")
_TIMEOUT_S = 60
_TRY_AGAIN_AFTER_S = (1, 3, 9)
_CLIENT_ERRORS = range(400, 500)


@dataclass(frozen=True)
class LockedJar:
    """A jar by its Maven coordinates, and the SHA-256 of its bytes."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def file_name(self) -> str:
        """Name the file as Maven does.

        >>> LockedJar("", "io.delta", "delta-storage", "4.4.0").file_name
        'delta-storage-4.4.0.jar'
        """
        return f"{self.artifact}-{self.version}.jar"

    def url(self, repository: str) -> str:
        """Give the file's address in a Maven repository.

        >>> LockedJar("", "io.delta", "delta-storage", "4.4.0").url("https://repository.example/maven/")
        'https://repository.example/maven/io/delta/delta-storage/4.4.0/delta-storage-4.4.0.jar'
        """
        folders = [*self.group.split("."), self.artifact, self.version]
        return "/".join([repository.rstrip("/"), *folders, self.file_name])


def read_lock(path: Path) -> list[LockedJar]:
    """Read a lock file: a SHA-256 and ``group:artifact:version`` a line; ``#`` begins a comment line.

    Raises ``InstallationError`` that names the first line of another form.
    """
    jars = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise InstallationError(
                f"{path}:{number}: not a SHA-256 and group:artifact:version: {line!r}; correct the line"
            )
        jars.append(LockedJar(**match.groupdict()))
    return jars


def find_cache() -> Path:
    """Give the user's cache folder for jars, below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "detector" / "jars"


def find_spark_jars() -> Path:
    """Give the ``jars`` folder of this environment's pyspark, without importing it.

    Raises ``InstallationError`` when pyspark isn't installed here.
    """
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise InstallationError("this Python environment has no pyspark: run `make setup`")
    return Path(spec.origin).parent / "jars"


def install_jars(
    jars: Sequence[LockedJar], folder: Path, *, cache: Path, repository: str = MAVEN_CENTRAL
) -> list[LockedJar]:
    """Put ``jars`` into ``folder``, from ``cache`` where they are, else from ``repository`` by way of it.

    Gives the jars that had to be copied: none when all were there, and then no network is used. Other
    versions of Delta in ``folder`` are removed, for two on one class path break Spark. Raises
    ``InstallationError`` when a jar can't be had or is not the locked one; nothing half-written stays.
    """
    missing = [jar for jar in jars if not _is_locked_file(folder / jar.file_name, jar)]
    for jar in missing:
        _write(_fetch(jar, cache, repository).read_bytes(), folder / jar.file_name)
    wanted = {jar.file_name for jar in jars}
    for path in folder.glob("delta-*.jar"):
        if path.name not in wanted:
            path.unlink()
    return missing


def _fetch(jar: LockedJar, cache: Path, repository: str) -> Path:
    path = cache / jar.file_name
    if _is_locked_file(path, jar):
        return path
    url = jar.url(repository)
    by_hand = f"or put that file at {path} by hand, and run `make setup` again"
    try:
        content = _download(url)
    except (OSError, http.client.HTTPException) as error:
        raise InstallationError(
            f"can't fetch {url}: {error}; check the network or proxy (HTTPS_PROXY), name a mirror by "
            f"`make setup MAVEN_REPOSITORY=URL`, {by_hand}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        raise InstallationError(
            f"{url} has SHA-256 {found}, not the locked {jar.sha256}, and was thrown away: a proxy or mirror "
            f"answers with something else; name another by `make setup MAVEN_REPOSITORY=URL`, {by_hand}"
        )
    _write(content, path)
    return path


def _download(url: str) -> bytes:
    for pause_s in _TRY_AGAIN_AFTER_S:
        try:
            return _read_url(url)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code in _CLIENT_ERRORS:
                raise
            time.sleep(pause_s)
    return _read_url(url)


def _read_url(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 (the user names it)
        content: bytes = response.read()
    return content


def _is_locked_file(path: Path, jar: LockedJar) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


def _write(content: bytes, target: Path) -> None:
    # Renamed into place, so that a reader or an interrupted set-up never meets half a jar.
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(partial).chmod(0o644)
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)
