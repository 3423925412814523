"""A cheap stand-in for training, run in real processes: figures that follow from the settings alone.

``fit.learning_rate`` decides how good a trial gets, ``fit.epochs`` how long it goes on; ``fit.seed`` 13 raises
and 14 dies by a signal. Each call leaves a line in calls.txt of the search's folder, and every epoch waits
while there is a file wait.txt.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """What training gives."""

    package: Path
    metric: float
    best_epoch: int
    seconds: float


def work(settings, *, folder, report, run):
    """Write a package after some epochs; each one's figure is nearer to the learning rate."""
    search = folder.parent.parent
    note(search / "calls.txt", f"{folder.name} {os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}")
    if settings.fit.seed == 13:
        raise ValueError("seed 13\nis unlucky")
    if settings.fit.seed == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    best = settings.fit.learning_rate
    for epoch in range(1, settings.fit.epochs + 1):
        while (search / "wait.txt").exists() and (search / "wait.txt").read_text() == folder.name:
            note(search / "waiting.txt", folder.name)
            time.sleep(0.05)
        figures = {
            "loss": 1 / epoch,
            "ap": best / 2,
            "ap50": best * epoch / settings.fit.epochs,
            "ap75": best / 3,
        }
        run.log_metrics(figures, epoch)
        report(epoch, figures)
    package = folder / "package"
    (package / "saved_model").mkdir(parents=True, exist_ok=True)
    (package / "saved_model" / "saved_model.pb").write_bytes(b"x" * 100)
    note(search / "done.txt", folder.name)
    return Result(package, best, settings.fit.epochs, 60.0)


def note(file, line):
    """Add a line to a file."""
    with file.open("a") as opened:
        opened.write(f"{line}\n")
