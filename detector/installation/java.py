"""The Java that Spark runs on: found where it is, else installed.

Owns which versions will do and where they are looked for. Refuses to change a Java that is there: a new
one is added beside it, and the environment's ``bin/java`` names it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from detector.errors import InstallationError

OLDEST, NEWEST = 17, 21  # Spark 4.1's documentation names 17 and 21; 24 took away what its Hadoop calls
PROJECT_JAVA = Path(__file__).resolve().parents[2] / ".java"

_SYSTEM_JAVA = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"))
_APT_PACKAGES = ("openjdk-17-jre-headless", "openjdk-21-jre-headless")
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_ANSWER_WITHIN_S = 60


def parse_major(text: str) -> int | None:
    """Read the major version from what ``java -version`` prints; None where it names none.

    >>> parse_major('openjdk version "17.0.15" 2025-04-15'), parse_major('java version "1.8.0_402"')
    (17, 8)
    """
    match = _VERSION.search(text)
    return None if match is None else int(match.group(1))


def read_major(java: Path) -> int | None:
    """Ask ``java`` for its major version; None where it doesn't run, such as macOS's placeholder."""
    try:
        answer = subprocess.run(  # noqa: S603 (a java that the user has)
            [java, "-version"], capture_output=True, text=True, timeout=_ANSWER_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_major(answer.stderr + answer.stdout) if answer.returncode == 0 else None


def find_java() -> Path:
    """Give the first ``java`` that runs Spark: of JAVA_HOME, PATH, this environment, ``.java/``, the system.

    Raises ``InstallationError`` that lists what was found instead.
    """
    seen: dict[Path, int | None] = {}
    for java in _list_candidates():
        seen[java] = read_major(java)
        if _runs_spark(seen[java]):
            return java
    found = ", ".join(f"{path} (Java {major or 'unknown'})" for path, major in seen.items())
    raise InstallationError(
        f"Spark needs Java {OLDEST} to {NEWEST}; found: {found or 'none'}. Run `make setup`, or install one "
        f"(Debian, Ubuntu: apt-get install {_APT_PACKAGES[0]}; macOS: brew install openjdk@{OLDEST}) "
        "and set JAVA_HOME to it"
    )


def install_java() -> Path:
    """Find a ``java`` that runs Spark, or install one: Debian's package where that may be, else ``.java/``.

    Afterwards ``java`` is the same one for whoever has this environment's ``bin`` first on PATH. Raises
    ``InstallationError`` with what to do when none could be installed.
    """
    try:
        java = find_java()
    except InstallationError as missing:
        _install_package()
        try:
            java = find_java()
        except InstallationError:
            java = _install_archive(missing)
    _put_on_path(java)
    return java


def _list_candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    yield from (path for path in [_environment_java()] if path.exists())
    for folder in (PROJECT_JAVA, *_SYSTEM_JAVA):
        for pattern in ("*/bin/java", "*/Contents/Home/bin/java"):
            yield from sorted(folder.glob(pattern))


def _environment_java() -> Path:
    return Path(sys.prefix) / "bin" / "java"


def _runs_spark(major: int | None) -> bool:
    return major is not None and OLDEST <= major <= NEWEST


def _install_package() -> None:
    """Install Debian's package where apt is and asks for no password; a failure leaves it to the archive."""
    if shutil.which("apt-get") is None:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and (shutil.which("sudo") is None or not _succeeds([*as_root, "true"])):
        return
    apt = [
        *as_root,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=60",
    ]
    _succeeds([*apt, "update"])
    for package in _APT_PACKAGES:
        if _succeeds([*apt, "install", "--yes", "--no-install-recommends", package]):
            return


def _succeeds(command: list[str]) -> bool:
    # apt's own words go to standard error: what it could not do is for the reader to see.
    return subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0  # noqa: S603


def _install_archive(missing: InstallationError) -> Path:
    import jdk

    PROJECT_JAVA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PROJECT_JAVA, prefix=".partial-") as partial:
        try:
            unpacked = Path(jdk.install(str(OLDEST), jre=True, path=partial))
        except (jdk.JdkError, OSError) as error:
            raise InstallationError(f"{missing} (the download of one failed: {error})") from error
        target = PROJECT_JAVA / unpacked.name
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    return find_java()


def _put_on_path(java: Path) -> None:
    """Name ``java`` in the environment's ``bin``, unless whoever has that on PATH gets it anyway."""
    link = _environment_java()
    if java == link or shutil.which("java") == str(java):
        return
    partial = link.with_name(".java-partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(java.resolve())
    partial.replace(link)
