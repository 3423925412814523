"""Live progress on a terminal: media done, rate, time left.

Owns one line of standard error. Silent when that is no terminal.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pyspark.sql import SparkSession


def _find_terminal() -> TextIO:
    # spark-submit reads this process's standard error through a pipe: its own may be a terminal.
    launcher = Path(f"/proc/{os.getppid()}/fd/2")
    if "PYSPARK_GATEWAY_PORT" not in os.environ or not os.access(launcher, os.W_OK):
        return sys.stderr
    terminal = launcher.resolve()
    return terminal.open("w") if terminal.is_relative_to("/dev") and terminal.is_char_device() else sys.stderr


@dataclass
class Progress:
    """Counts media against a total; what Spark is still working on is estimated from finished tasks."""

    total: int
    stream: TextIO = field(default_factory=_find_terminal)
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def watch(self, spark: SparkSession, group: str, tasks: int, media: int) -> Iterator[None]:
        """Show progress while the job group's scoring stage of ``tasks`` tasks over ``media`` media runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._poll, args=(spark, group, tasks, media, stop), daemon=True)
        if self.stream.isatty():
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if thread.ident is not None:
                thread.join()
        self.done += media
        self.show(self.done)

    def show(self, done: int) -> None:
        """Write the line anew."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[K" + self.describe(done, time.monotonic() - self.started))
            self.stream.flush()

    def close(self) -> None:
        """End the line."""
        if self.stream.isatty() and self.total:
            self.stream.write("\n")

    def describe(self, done: int, seconds: float) -> str:
        """Word the line.

        >>> Progress(200).describe(50, 10.0)
        '50 of 200 media (25%), 5.0/s, 0:00:30 left'
        """
        rate = done / seconds if seconds else 0.0
        left = "--" if not rate else _clock((self.total - done) / rate)
        return (
            f"{done:,} of {self.total:,} media ({done / max(1, self.total):.0%}), {rate:.1f}/s, {left} left"
        )

    def _poll(self, spark: SparkSession, group: str, tasks: int, media: int, stop: threading.Event) -> None:
        tracker = spark.sparkContext.statusTracker()
        while not stop.wait(1):
            stages = [
                tracker.getStageInfo(stage)
                for job in tracker.getJobIdsForGroup(group)
                if (info := tracker.getJobInfo(job)) is not None and info.status == "RUNNING"
                for stage in info.stageIds
            ]
            finished = [stage.numCompletedTasks for stage in stages if stage and stage.numTasks == tasks]
            self.show(self.done + media * max(finished, default=0) // tasks)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
