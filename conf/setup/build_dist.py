"""Build what a cluster needs: ``python conf/setup/build_dist.py --out build/dist`` (`make dist`).

Owns the wheel, the same bytes as a .zip (what Spark's --py-files takes), Delta's jars, and the archive: this
environment's interpreter, the packages of uv.lock, and the project itself, which run from any folder. Spark
stays out: the cluster brings its own. Refuses to build off Linux, as the cluster's machines run the same
programs; their C library must be as new as this machine's.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from detector.errors import InstallationError
from detector.installation.jars import LOCK_PATH, find_spark_jars, read_lock

PROJECT = Path(__file__).resolve().parents[2]
UV = str(Path(os.environ.get("UV") or shutil.which("uv") or PROJECT / ".tools" / "uv").absolute())
# pyspark and py4j are the cluster's; TensorFlow never loads libclang.
LEFT_OUT = ("pyspark", "py4j", "libclang", "tensorboard-data-server")
# Nothing of it runs: headers, tests, and what is only for writing programs.
UNUSED_MODULES = (
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "config-*",
)
UNUSED_FOLDERS = ("tensorflow/include", "pyarrow/include", "pyarrow/src", "pyarrow/tests", "bin")
# Not a plain .tar: that one Spark unpacks by itself, without the files' modes and with wrong links.
ARCHIVE = "environment.tar.gz"
LEVEL = 6


def main() -> int:
    """Build all into ``--out`` and say what is there and how large; 1 when it can't be done."""
    parser = argparse.ArgumentParser(prog="build_dist.py", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/dist"), help="folder to write into")
    parser.add_argument("--gpu", action="store_true", help="TensorFlow with CUDA's libraries: over 3 GB")
    parser.add_argument("--extra", action="append", default=[], help="extra of pyproject.toml to take along")
    parser.add_argument("--level", type=int, default=LEVEL, help="gzip's: 0 quick to 9 small (default 6)")
    flags = parser.parse_args()
    try:
        made = build(flags.out, gpu=flags.gpu, extras=flags.extra, level=flags.level)
    except (InstallationError, subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"dist: {error}\n")
        return 1
    for path in made:
        sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.1f} MB\n")
    return 0


def build(out: Path, *, gpu: bool = False, extras: list[str] | None = None, level: int = LEVEL) -> list[Path]:
    """Build wheel, zip, jars and archive into ``out``; give their paths.

    Raises ``InstallationError`` off Linux, or where Delta's jars are not installed.
    """
    if platform.system() != "Linux":
        raise InstallationError("the archive's programs are this machine's: build it on Linux")
    out.mkdir(parents=True, exist_ok=True)
    wheel, zipped = build_wheel(out)
    made = [wheel, zipped, *copy_jars(out)]
    with tempfile.TemporaryDirectory(dir=out, prefix=".environment-") as folder:
        environment = Path(folder) / "environment"
        copy_interpreter(environment)
        install_packages(environment, wheel, gpu=gpu, extras=extras or [])
        return [*made, pack(environment, out / ARCHIVE, level)]


def build_wheel(out: Path) -> tuple[Path, Path]:
    """Build the wheel, and copy it under a name that Spark puts on the executors' path: it knows no .whl."""
    for old in out.glob("detector-*"):
        old.unlink()
    _run([UV, "build", "--quiet", "--wheel", "--out-dir", str(out.absolute()), str(PROJECT)])
    wheel = next(out.glob("detector-*.whl"))
    zipped = wheel.with_name("-".join(wheel.name.split("-")[:2]) + ".zip")
    shutil.copyfile(wheel, zipped)
    return wheel, zipped


def copy_jars(out: Path) -> list[Path]:
    """Copy Delta's locked jars, for a Spark that has none.

    Raises ``InstallationError`` when ``make setup`` has not put them beside Spark.
    """
    installed = find_spark_jars()
    names = [jar.file_name for jar in read_lock(LOCK_PATH)]
    missing = [name for name in names if not (installed / name).is_file()]
    if missing:
        raise InstallationError(f"{installed} lacks {', '.join(missing)}: run `make setup`")
    return [Path(shutil.copyfile(installed / name, out / name)) for name in names]


def copy_interpreter(environment: Path) -> None:
    """Copy this environment's base interpreter: program, own library, standard library."""
    version = f"python{sysconfig.get_python_version()}"
    (environment / "bin").mkdir(parents=True)
    program = environment / "bin" / version
    shutil.copy2(Path(sys._base_executable).resolve(), program)  # noqa: SLF001 (the one outside the venv)
    for name in ("python", "python3"):
        (environment / "bin" / name).symlink_to(version)
    standard = Path(sysconfig.get_path("stdlib"))
    unused = shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__", "EXTERNALLY-MANAGED")

    def ignore(folder: str, names: list[str]) -> set[str]:
        modules = (
            shutil.ignore_patterns(*UNUSED_MODULES)(folder, names) if Path(folder) == standard else set()
        )
        return set(unused(folder, names)) | set(modules)

    shutil.copytree(standard, environment / "lib" / version, ignore=ignore)
    library = sysconfig.get_config_var("INSTSONAME")
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and library:
        shutil.copy2(Path(sysconfig.get_config_var("LIBDIR")) / library, environment / "lib" / library)
        _run(["patchelf", "--force-rpath", "--set-rpath", "$ORIGIN/../lib", str(program)])


def find_packages(environment: Path) -> Path:
    """Ask the copied interpreter where it looks for packages: Debian's looks elsewhere than others."""
    where = "import site; print(*site.getsitepackages(), sep='\\n')"
    places = map(Path, _run([str(environment / "bin" / "python"), "-I", "-c", where]).splitlines())
    found = next(place for place in places if place.is_relative_to(environment.resolve()))
    found.mkdir(parents=True, exist_ok=True)
    return found


def install_packages(environment: Path, wheel: Path, *, gpu: bool, extras: list[str]) -> None:
    """Install the packages of uv.lock and the wheel where the copied interpreter looks for them."""
    python, place = environment / "bin" / "python", find_packages(environment)
    wanted = [word for extra in [*extras, *(["gpu"] if gpu else [])] for word in ("--extra", extra)]
    left_out = LEFT_OUT if gpu else (*LEFT_OUT, "tensorflow")
    wanted += [] if gpu else ["--group", "cluster"]
    wanted += [word for name in left_out for word in ("--no-emit-package", name)]
    export = [
        UV,
        "export",
        "--quiet",
        "--locked",
        "--no-default-groups",
        "--no-emit-project",
        "--extra",
        "spark",
    ]
    locked = environment.parent / "requirements.txt"
    _run([*export, *wanted, "--output-file", str(locked)])
    install = [UV, "pip", "install", "--quiet", "--no-deps", "--target", str(place), "--python", str(python)]
    _run([*install, "--requirements", str(locked)])
    _run([*install, str(wheel)])
    for name in UNUSED_FOLDERS:
        shutil.rmtree(place / name, ignore_errors=True)


def pack(environment: Path, archive: Path, level: int = LEVEL) -> Path:
    """Pack the environment's content, so that Spark unpacks it into the folder that ``#name`` says."""

    def anonymise(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    partial = archive.with_name(f".partial-{archive.name}")
    with tarfile.open(partial, "w:gz", compresslevel=level) as packed:
        for path in sorted(environment.iterdir()):
            packed.add(path, arcname=path.name, filter=anonymise)
    return partial.rename(archive)


def _run(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(  # noqa: S603 (this project's own tools)
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
