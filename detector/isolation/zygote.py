"""The process that limited children are forked from: small, without threads, its modules imported before.

Owns forking, ending and waiting, nothing else. ``python -m detector.isolation.zygote FD MODULE ...``
serves the socket FD until it closes; its children die with it.
"""

import importlib
import os
import signal
import socket
import sys
from typing import NoReturn

from detector.isolation.child import run_child


def main() -> None:
    """Import the modules, then obey: b"fork MEMORY_BYTES" with a socket, b"end PID".

    Answers b"done PID", b"done STATUS" as of ``os.waitstatus_to_exitcode`` (below 0: a signal's), or
    b"failed ERRNO".
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    own_pid = os.getpid()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 1)
        if not message:
            return
        word, _, number = message.partition(b" ")
        try:
            if word == b"fork":
                done = os.fork()
                if done == 0:
                    control.close()
                    _live(descriptors[0], own_pid, int(number))
                os.close(descriptors[0])
            else:
                os.kill(int(number), signal.SIGKILL)  # nothing to one that has ended by itself
                done = os.waitstatus_to_exitcode(os.waitpid(int(number), 0)[1])
        except OSError as error:
            control.send(b"failed %d" % (error.errno or 0))
        else:
            control.send(b"done %d" % done)


def _live(descriptor: int, parent_pid: int, memory_bytes: int) -> NoReturn:
    status = 1
    try:
        run_child(socket.socket(fileno=descriptor), parent_pid, memory_bytes)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(status)  # never back into the loop that forked it


if __name__ == "__main__":
    main()
