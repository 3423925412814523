"""Processes of trials: started, watched, and ended with their parent.

Owns the parent's side of ``trial``. Each child is a session of its own, so that it ends with all it started;
its output goes to the trial's folder.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.training.search.slots import Slot
from detector.training.search.trial import TrialTask

LOG = "log.txt"
_GRACE_S = 15
_MODULE = "detector.training.search.trial"


@dataclass(frozen=True)
class Child:
    """A trial at work in a slot; ``process`` is its group's leader."""

    task: TrialTask
    slot: Slot
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        """Give the file of its output."""
        return Path(self.task.folder) / LOG


def start_child(task: TrialTask, slot: Slot) -> Child:
    """Start a trial's process on the slot's GPU."""
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 (this Python, this module)
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=os.environ | slot.environment,
            start_new_session=True,
        )
    if process.stdin is not None:
        process.stdin.write(task.to_line())  # and stays open: its end would be the parent's
        process.stdin.flush()
    return Child(task, slot, process)


def stop_children(children: Iterable[Child]) -> None:
    """End processes in order, and those that don't end in time by force."""
    children = list(children)
    for child in children:
        _signal(child, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL)
            child.process.wait()
        close_child(child)


def close_child(child: Child) -> None:
    """Let go of an ended child: of its standard input, and of processes that it left behind."""
    if child.process.stdin is not None:
        child.process.stdin.close()
    _signal(child, signal.SIGKILL)


def describe_end(child: Child) -> str:
    """Tell why a child ended without a result: the signal, or the last line of its output."""
    code = child.process.returncode
    if code is not None and code < 0:
        hint = "; out of memory?" if -code == signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint} (see {child.log})"
    lines = child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else f"ended with code {code} and said nothing (see {child.log})"


def _signal(child: Child, number: signal.Signals) -> None:
    try:
        os.killpg(child.process.pid, number)
    except ProcessLookupError:
        return  # all of them have ended
