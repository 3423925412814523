"""Run the Dockerfile's steps where no container engine is.

    python tests/deploy/image_steps.py --arg EXTRAS= --then 'python jobs/score.py --help'

Each stage is an overlay over this machine's own files, in a mount namespace of its own: COPY, RUN, ENV, WORKDIR, USER and
ARG are carried out by chroot, and this machine is left as it was. FROM is this machine, so its Python must be the image's
(3.11) and its Debian near the image's. `--then` runs in the end, as the image's user. Linux, as root.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = PROJECT / "conf" / "docker" / "Dockerfile"


def read_steps(text):
    """Give the instructions in their order: word and rest, lines that go on joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


class Stage:
    """One stage's files and what RUN sees."""

    def __init__(self, folder):
        """Mount an overlay over this machine."""
        self.root, self.environment, self.workdir, self.user = folder / "root", {}, "/", None
        for name in ("root", "upper", "work"):
            (folder / name).mkdir(parents=True)
        layers = f"lowerdir=/,upperdir={folder / 'upper'},workdir={folder / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        for name in ("proc", "dev", "sys"):
            subprocess.run(["mount", "--rbind", f"/{name}", self.root / name], check=True)
        self.place("/usr/local/bin/python").symlink_to("/usr/bin/python3.11")  # as the image has it

    def run(self, command):
        """Run a command line by sh, as RUN does."""
        who = ["setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups"] if self.user else []
        words = ["chroot", str(self.root), *who, "sh", "-c", f"cd {shlex.quote(self.workdir)} && {command}"]
        base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}
        kept = {
            key: value for key, value in os.environ.items() if key.endswith("_INDEX_URL") or "CERT" in key
        }
        subprocess.run(words, env=base | kept | self.environment, check=True)

    def carry_out(self, word, rest, stages):
        """Carry out one instruction."""
        if word == "RUN":
            self.run(rest)
        elif word == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            self.user = rest.split(":")[0]
        elif word == "WORKDIR":
            self.workdir = rest
            self.place(".").mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            *sources, target = rest.split()
            stage = stages[sources.pop(0).partition("=")[2]] if sources[0].startswith("--from=") else None
            self.copy(sources, target, stage.root if stage else PROJECT)
        else:
            raise SystemExit(f"{word}: no such step here")

    def place(self, path):
        """Give a path of the stage as one of this machine."""
        return self.root / str(Path(self.workdir) / path).lstrip("/")

    def copy(self, sources, target, origin):
        """Copy as COPY does: a folder's content, or files."""
        for source in sources:
            found, aim = origin / source.lstrip("/"), self.place(target)
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
                shutil.copytree(found, aim, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                aim = aim / found.name if target.endswith("/") else aim
                aim.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, aim)


def build(folder, arguments, then):
    """Carry out all steps; ``arguments`` replace those of ARG."""
    stages, stage, given = {}, None, {}
    for word, rest in read_steps(DOCKERFILE.read_text()):
        filled = re.sub(r"\$\{(\w+)\}", lambda found: given.get(found[1], found[0]), rest)
        print(f"== {word} {filled}", flush=True)
        if word == "ARG":
            name, _, default = rest.partition("=")
            given[name] = arguments.get(name, default.strip('"'))
        elif word == "FROM":
            stage = stages[filled.split(" AS ")[-1]] = Stage(folder / str(len(stages)))
        elif word not in {"EXPOSE", "ENTRYPOINT", "CMD"}:
            stage.carry_out(word, filled, stages)
        if stage:
            stage.environment |= given
    for command in then:
        print(f"== as the image's user: {command}", flush=True)
        stage.run(command)


def main():
    """Read the flags, and build inside a mount namespace that goes with this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arg", action="append", default=[], help="NAME=VALUE, as docker's --build-arg")
    parser.add_argument("--then", action="append", default=[], help="command to run in the end")
    flags = parser.parse_args()
    if "IMAGE_STEPS" not in os.environ:
        # The files lie in a file system that goes with the namespace: afterwards the folder is empty again.
        folder = Path(tempfile.mkdtemp(prefix="image-"))
        inside = ["unshare", "--mount", sys.executable, *sys.argv]
        code = subprocess.run(inside, env=os.environ | {"IMAGE_STEPS": str(folder)}, check=False).returncode
        folder.rmdir()
        return code
    folder = Path(os.environ["IMAGE_STEPS"])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12g", "none", folder], check=True)
    build(folder, dict(pair.split("=", 1) for pair in flags.arg), flags.then)
    return 0


if __name__ == "__main__":
    sys.exit(main())
