"""The way to the process that children are forked from: one for this process, begun anew when it's gone.

Owns that process. Safe in threads.
"""

import errno
import functools
import os
import signal
import socket
import subprocess
import sys
import threading


@functools.cache
def find_starter(modules: tuple[str, ...]) -> "Starter":
    """Give this process's starter of children that have ``modules`` imported."""
    return Starter(modules)


class Starter:
    """Forks children from a ``zygote``, and ends them."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._modules = modules
        self._lock = threading.Lock()
        self._start()

    def fork(self, memory_bytes: int) -> tuple[int, socket.socket]:
        """Make a child; give its pid and the socket to it. Raises ``OSError`` when the system refuses."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = b"fork %d" % memory_bytes
        with theirs, self._lock:
            try:
                pid = self._order(order, [theirs.fileno()])
            except ConnectionError:
                self._close()
                self._start()
                pid = self._order(order, [theirs.fileno()])
        return pid, ours

    def end(self, pid: int) -> int:
        """End a child, if it hasn't ended by itself, and give its status as of ``os.waitstatus_to_exitcode``.

        Without the process that it was forked from it has been killed.
        """
        with self._lock:
            try:
                return self._order(b"end %d" % pid, [])
            except OSError:
                return -signal.SIGKILL

    def _start(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            # Its own session: an interrupt on the terminal is this process's business.
            self._process = subprocess.Popen(  # noqa: S603 (this project, by its own Python)
                [sys.executable, "-P", "-m", "detector.isolation.zygote", str(number), *self._modules],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )

    def _close(self) -> None:
        self._control.close()
        self._process.wait()

    def _order(self, message: bytes, descriptors: list[int]) -> int:
        socket.send_fds(self._control, [message], descriptors)
        word, _, number = self._control.recv(64).partition(b" ")
        if not word:
            raise ConnectionResetError(
                errno.ECONNRESET, "the process that children are started from has gone"
            )
        if word == b"failed":
            raise OSError(int(number), os.strerror(int(number)))
        return int(number)
