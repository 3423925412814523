"""Programs under conf/ that run before there is an environment."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "setup"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_program_compiles(path):
    """Each is Python without a mistake of grammar."""
    ast.parse(path.read_text(encoding="utf-8"))


def test_bootstrap_needs_nothing_installed(tmp_path):
    """bootstrap_uv.py is of Python 3.8's grammar, and starts without any package: a uv on PATH is linked."""
    source = FOLDER / "bootstrap_uv.py"
    ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))
    fake = tmp_path / "bin" / "uv"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho uv 99.0\n", encoding="utf-8")
    fake.chmod(0o755)
    target = tmp_path / "tools" / "uv"
    command = [sys.executable, "-I", "-S", str(source), str(target)]
    subprocess.run(command, env={"PATH": f"{fake.parent}:/usr/bin:/bin"}, check=True, timeout=60)
    assert target.resolve() == fake
