"""A standalone Spark cluster on this machine: a master and workers that know nothing of this project.

Where network namespaces can be made, each worker is a host of its own behind a bridge, and in its mount
namespace the project, its environment and its interpreter are empty folders. Elsewhere the workers are
processes on 127.0.0.1 with a clean environment, and ``isolated`` is False.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyspark

from detector.installation.java import find_java

PROJECT = Path(__file__).resolve().parents[2]
_START_WITHIN_S = 120


class Cluster:
    """Master and workers; a context that ends them all and takes the hosts away."""

    def __init__(self, folder, *, shown=None, workers=2):
        """Plan it below ``folder``; ``shown`` maps paths that the workers see to folders of this machine."""
        self.folder, self.count, self._shown = folder, workers, shown or {}
        self._tag = f"d{os.getpid() % 100_000}"
        self._subnet = f"10.{77 + os.getpid() % 100}.{os.getpid() % 250}"
        self._processes = []
        self.isolated, self.master_ip = False, "127.0.0.1"

    def __enter__(self):
        """Start; wait until every worker has registered."""
        self.folder.mkdir(parents=True)
        self._lay_out_spark()
        try:
            self.isolated = self._make_hosts()
            self.port = _find_port(self.master_ip)
            place = ["--host", self.master_ip, "--port", str(self.port), "--webui-port", "0"]
            self._start("master", [], "org.apache.spark.deploy.master.Master", *place)
            self._wait_for("master", "Starting Spark master")
            for number in range(self.count):
                self._start_worker(number)
            for number in range(self.count):
                self._wait_for(f"worker{number}", "Successfully registered with master")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """End master, workers and executors, and take the hosts away."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for host in [f"{self._tag}n{number}" for number in range(self.count) if self.isolated]:
            # An executor left its worker's process group.
            inside = subprocess.run(
                ["ip", "netns", "pids", host], capture_output=True, text=True, check=False
            )
            for pid in map(int, inside.stdout.split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _ip("netns", "delete", host)
        _ip("link", "delete", f"{self._tag}b")

    @property
    def url(self):
        """Give the address for --master."""
        return f"spark://{self.master_ip}:{self.port}"

    def list_executors(self):
        """List the executors' folders, of all applications, by worker."""
        return [sorted((self.folder / f"work{n}").glob("app-*/*")) for n in range(self.count)]

    def _lay_out_spark(self):
        # A Spark as it is distributed: without Delta, its Python modules in two archives.
        self.spark_home, origin = self.folder / "spark", Path(pyspark.__file__).parent
        without = shutil.ignore_patterns("delta-*.jar")
        shutil.copytree(origin / "jars", self.spark_home / "jars", ignore=without, copy_function=_link)
        for name in ("bin", "sbin"):
            shutil.copytree(origin / name, self.spark_home / name)
        library = self.spark_home / "python" / "lib"
        shutil.copytree(origin / "python" / "lib", library)
        unused = shutil.ignore_patterns(
            *(p.name for p in origin.iterdir() if _is_not_python(p)), "__pycache__", "tests"
        )
        shutil.copytree(origin, self.folder / "modules" / "pyspark", ignore=unused)
        shutil.make_archive(str(library / "pyspark"), "zip", self.folder / "modules")

    def _make_hosts(self):
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            return False
        bridge = f"{self._tag}b"
        steps = [
            ("link", "add", bridge, "type", "bridge"),
            ("addr", "add", f"{self._subnet}.254/24", "dev", bridge),
            ("link", "set", bridge, "up"),
        ]
        for number in range(self.count):
            host, link = f"{self._tag}n{number}", f"{self._tag}v{number}"
            steps += [
                ("netns", "add", host),
                ("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", host),
                ("link", "set", link, "master", bridge, "up"),
                ("-n", host, "addr", "add", f"{self._subnet}.{number + 1}/24", "dev", "eth0"),
                ("-n", host, "link", "set", "eth0", "up"),
                ("-n", host, "link", "set", "lo", "up"),
            ]
        if not all(_ip(*step) for step in steps):
            return False
        self.master_ip = f"{self._subnet}.254"
        return True

    def _start_worker(self, number):
        place = [
            "--host",
            f"{self._subnet}.{number + 1}" if self.isolated else "127.0.0.1",
            "--webui-port",
            "0",
        ]
        size = ["--cores", "1", "--memory", "1g", "--work-dir", str(self.folder / f"work{number}")]
        before = []
        if self.isolated:
            before = ["ip", "netns", "exec", f"{self._tag}n{number}", "unshare", "--mount"]
            before += ["sh", "-c", f'{self._hide()} exec "$@"', "sh"]
        self._start(
            f"worker{number}", before, "org.apache.spark.deploy.worker.Worker", *place, *size, self.url
        )

    def _hide(self):
        # First what they may see, then nothing of the project, its packages or its interpreter.
        lines = ["set -e;", *(f"mount --bind '{here}' '{seen}';" for seen, here in self._shown.items())]
        hidden = {PROJECT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()} - {Path("/usr")}
        outermost = sorted(path for path in hidden if hidden.isdisjoint(path.parents))
        return " ".join([*lines, *(f"mount -t tmpfs none '{path}';" for path in outermost)])

    def _start(self, name, before, role, *arguments):
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "JAVA_HOME": str(find_java().resolve().parent.parent),
            "SPARK_HOME": str(self.spark_home),
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*before, str(self.spark_home / "bin" / "spark-class"), role, *arguments],
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)

    def _wait_for(self, name, text):
        log, deadline = self.folder / f"{name}.log", time.monotonic() + _START_WITHIN_S
        while text not in log.read_text(errors="replace"):
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)


def _ip(*words):
    if shutil.which("ip") is None:
        return False
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


def _link(origin, target):
    try:
        os.link(origin, target)
    except OSError:  # another disk
        shutil.copy2(origin, target)


def _is_not_python(path):
    return path.name in {"jars", "bin", "sbin", "examples", "work", "data", "licenses", "python"}


def _find_port(host):
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]
