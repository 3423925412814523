"""Live progress on a terminal: media done, seconds of video done, rate, time left.

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


@dataclass(frozen=True)
class Share:
    """A share of the work: media (parts of a video are fractions), seconds of video, cost in pictures."""

    media: float
    video_s: float
    pictures: float

    def __add__(self, other: "Share") -> "Share":
        return Share(self.media + other.media, self.video_s + other.video_s, self.pictures + other.pictures)

    def __mul__(self, fraction: float) -> "Share":
        return Share(self.media * fraction, self.video_s * fraction, self.pictures * fraction)


@dataclass
class Progress:
    """Counts work against a total; what Spark is still working on is estimated from finished tasks."""

    total: Share
    stream: TextIO = field(default_factory=_find_terminal)
    done: Share = Share(0, 0, 0)
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def watch(self, spark: SparkSession, group: str, tasks: int, share: Share) -> Iterator[None]:
        """Show progress while the job group's scoring stage of ``tasks`` tasks over ``share`` runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._poll, args=(spark, group, tasks, share, stop), daemon=True)
        if self.stream.isatty():
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if thread.ident is not None:
                thread.join()
        self.done += share
        self.show(self.done)

    def show(self, done: Share) -> None:
        """Write the line anew."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[K" + self.describe(done, time.monotonic() - self.started))
            self.stream.flush()

    def close(self) -> None:
        """End the line."""
        if self.stream.isatty() and self.total.media:
            self.stream.write("\n")

    def describe(self, done: Share, seconds: float) -> str:
        """Word the line.

        >>> Progress(Share(200, 0, 200)).describe(Share(50, 0, 50), 10.0)
        '50 of 200 media (25%), 5.0/s, 0:00:30 left'
        >>> Progress(Share(2, 7200, 300)).describe(Share(0.5, 1800, 75), 60.0)
        '0 of 2 media, 0:30:00 of 2:00:00 of video (25%), 30.0 s of video/s, 0:03:00 left'
        """
        total = self.total
        part = done.pictures / total.pictures if total.pictures else 0.0
        left = _clock(seconds / part - seconds) if part else "--"
        media = f"{int(done.media + 1e-6):,} of {round(total.media):,} media"
        if not total.video_s:
            return f"{media} ({part:.0%}), {_rate(done.media, seconds):.1f}/s, {left} left"
        video = f"{_clock(done.video_s)} of {_clock(total.video_s)} of video"
        return f"{media}, {video} ({part:.0%}), {_rate(done.video_s, seconds):.1f} s of video/s, {left} left"

    def _poll(self, spark: SparkSession, group: str, tasks: int, share: Share, stop: threading.Event) -> None:
        tracker = spark.sparkContext.statusTracker()
        while not stop.wait(1):
            stages = [
                tracker.getStageInfo(stage)
                for job in tracker.getJobIdsForGroup(group)
                if (info := tracker.getJobInfo(job)) is not None and info.status == "RUNNING"
                for stage in info.stageIds
            ]
            finished = [stage.numCompletedTasks for stage in stages if stage and stage.numTasks == tasks]
            self.show(self.done + share * (max(finished, default=0) / tasks))


def _rate(done: float, seconds: float) -> float:
    return done / seconds if seconds else 0.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
