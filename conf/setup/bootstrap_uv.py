"""Put uv, which installs all the rest, at the path given: ``python3 bootstrap_uv.py .tools/uv``.

Owns the version of uv and where it comes from: the one on PATH, else pip, else PyPI's wheel by its locked
sum. Needs the standard library of any Python from 3.8 on, no pip and no venv, for Debian's has neither.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

OLDEST = (0, 8)
VERSION = "0.13.9"
INDEX = "https://pypi.org/simple/uv/"
WHEELS = {
    ("Linux", "x86_64"): (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    ("Linux", "aarch64"): (
        "manylinux_2_28_aarch64",
        "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",
    ),
    ("Darwin", "x86_64"): (
        "macosx_10_12_x86_64",
        "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    ),
    ("Darwin", "arm64"): (
        "macosx_11_0_arm64",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
}


def main(target: Path) -> None:
    """Put a uv at ``target``, or leave with one line that says what to do."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (target.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    if target.is_symlink() or target.exists():
        target.unlink()
    found = shutil.which("uv")
    if found is not None and read_version(found) >= OLDEST:
        target.symlink_to(found)
        return
    installed = install_by_pip(target.parent)
    if installed is not None:
        target.symlink_to(os.path.relpath(str(installed), str(target.parent)))
        return
    try:
        program = download_program()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(
            "can't install uv ({}): check the network or proxy, or install uv {}.{} or newer yourself "
            "(https://docs.astral.sh/uv) and run make again".format(error, *OLDEST)
        )
    partial = target.with_name("uv.partial")
    partial.write_bytes(program)
    partial.chmod(0o755)
    partial.replace(target)


def read_version(uv: str) -> tuple:
    """Ask a uv for its version; (0, 0) where it doesn't answer."""
    try:
        answer = subprocess.run(  # noqa: S603 (a uv that the user has)
            [uv, "--version"], stdout=subprocess.PIPE, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = re.search(rb"uv (\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else (0, 0)


def install_by_pip(folder: Path) -> Path | None:
    """Give the uv that pip put below ``folder``, with the user's own index and proxy; None where it can't."""
    place = folder / "uv-package"
    shutil.rmtree(str(place), ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    silent = subprocess.DEVNULL  # Python without pip is usual, and the wheel is next
    subprocess.run(  # noqa: S603
        [*pip, "--target", str(place), "uv==" + VERSION], check=False, stdout=silent, stderr=silent
    )
    program = place / "bin" / "uv"
    return program if program.is_file() and read_version(str(program)) >= OLDEST else None


def download_program() -> bytes:
    """Read uv's program out of its wheel on PyPI; ValueError when the wheel is not the locked one."""
    machine = (platform.system(), platform.machine())
    if machine not in WHEELS:
        raise ValueError("no uv is known here for {} {}".format(*machine))
    tag, sha256 = WHEELS[machine]
    name = f"uv-{VERSION}-py3-none-{tag}.whl"
    files = json.loads(read_url(INDEX, "application/vnd.pypi.simple.v1+json"))["files"]
    addresses = {file["filename"]: file["url"] for file in files}
    wheel = read_url(urllib.parse.urljoin(INDEX, addresses[name]), "*/*")
    if hashlib.sha256(wheel).hexdigest() != sha256:
        raise ValueError(f"{name} does not have the locked SHA-256")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return archive.read(f"uv-{VERSION}.data/scripts/uv")


def read_url(url: str, media_type: str) -> bytes:
    """Read what an HTTPS address answers with."""
    request = urllib.request.Request(url, headers={"Accept": media_type})  # noqa: S310 (PyPI's own addresses)
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
        content: bytes = response.read()
    return content


if __name__ == "__main__":
    main(Path(sys.argv[1]))
