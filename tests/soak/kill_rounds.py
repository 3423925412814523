"""Kill scoring runs at random moments; after a rerun the tables must equal those of an undisturbed run.

    python tests/soak/kill_rounds.py --rounds 50 --seed 7        (`make soak`)

Each round starts jobs/score.py, waits for a random number of commits and a random moment, and kills one of:
the driver (its JVM, too), an executor, a Python worker; with executor processes or without; or one after the other in
a single run. The job is run again, without executors, until it ends by itself. Then the rows of ``scores`` and
``detections``, as an independent reader gives them, are compared.
"""

import argparse
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import psutil
import pyspark
from PIL import Image

from detector.annotations.shapes import draw_picture

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "conf" / "demo"
LOCAL, CLUSTER = "local[2,4]", "local-cluster[2,1,1024]"  # threads of the driver, or executors of their own
EVERYONE = ("worker", "executor", "driver")
VICTIMS = (  # of a run, one after the other, and where they work
    (EVERYONE, CLUSTER),
    (("driver",), LOCAL),
    (("worker",), LOCAL),
    (("executor",), CLUSTER),
    (("driver",), CLUSTER),
    (("worker",), CLUSTER),
)
PICTURES, COMMIT_UNITS = 20, 5
_OF_THE_RUN = {"run_id", "scored_at", "scored_date"}  # differ from run to run
_TOLERANCE = 1e-3
_RERUNS = 4


def make_pictures(folder: Path) -> None:
    """Draw pictures, and put one broken and one empty file among them."""
    folder.mkdir()
    for seed in range(PICTURES - 2):
        pixels, _, _ = draw_picture(np.random.default_rng(seed), height_px=96, width_px=128)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        (folder / f"{seed:03d}.jpg").write_bytes(file.getvalue())
    (folder / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (folder / "empty.jpg").touch()


def start(pictures: Path, tables: Path, master: str) -> subprocess.Popen[str]:
    """Start the job."""
    flags = {
        "media.paths": pictures,
        "model.uri": DEMO / "saved_model",
        "model.labels": DEMO / "label_map.pbtxt",
        "tables.root": tables,
        "run.commit_units": COMMIT_UNITS,
        "run.task_units": 2,
        "run.max_failed_fraction": 1,
        "spark.master": master,
        "spark.conf": '{"spark.sql.shuffle.partitions": "2"}',  # the 200 of clusters cost more than 20 pictures
    }
    words = [str(word) for key, value in flags.items() for word in (f"--{key}", value)]
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "jobs" / "score.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"SPARK_HOME": str(Path(pyspark.__file__).parent)},
    )


def list_victims(job: subprocess.Popen[str], victim: str, rng: random.Random) -> list[psutil.Process]:
    """List the processes to kill: all of the driver, or one executor, or one Python worker."""
    try:
        everyone = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    kinds: dict[str, list[psutil.Process]] = {name: [] for name in ("driver", "executor", "worker")}
    for process in everyone:
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "CoarseGrainedExecutorBackend" in command:
            kinds["executor"].append(process)
        elif "pyspark.daemon" in command or "pyspark/daemon.py" in command:
            kinds["worker"].append(process)
        else:
            kinds["driver"].append(process)
    found = kinds[victim]
    return found if victim == "driver" else rng.sample(found, min(1, len(found)))


def wait_for_commits(job: subprocess.Popen[str], tables: Path, commits: int) -> None:
    """Wait until ``scores`` has so many commits, or the job has ended."""
    log = tables / "scores" / "_delta_log"
    while job.poll() is None and len(list(log.glob("*.json"))) < commits:
        time.sleep(0.02)


def read_rows(tables: Path, name: str, key: str) -> dict[str, dict[str, object]]:
    """Read a table by its key; a key that occurs twice is an error."""
    rows = deltalake.DeltaTable(str(tables / name)).to_pyarrow_table().to_pylist()
    by_key = {row[key]: {n: v for n, v in row.items() if n not in _OF_THE_RUN} for row in rows}
    if len(by_key) < len(rows):
        raise AssertionError(f"{name}: {len(rows) - len(by_key)} rows twice")
    return by_key


def is_alike(one: object, other: object) -> bool:
    """Tell whether two values are equal, floating-point ones to a thousandth."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _TOLERANCE * max(1, abs(one))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_alike, one, other))
    return one == other


def compare(tables: Path, undisturbed: Path) -> list[str]:
    """Tell how the tables differ from those of the undisturbed run; nothing when they don't."""
    differences = []
    for name, key in (("scores", "score_id"), ("detections", "detection_id")):
        found, wanted = read_rows(tables, name, key), read_rows(undisturbed, name, key)
        differences += [f"{name}: {row} is missing" for row in wanted.keys() - found.keys()]
        differences += [f"{name}: {row} is too many" for row in found.keys() - wanted.keys()]
        differences += [
            f"{name}: {row} is another"
            for row in wanted
            if row in found and not is_alike(found[row], wanted[row])
        ]
    return differences


def finish(job: subprocess.Popen[str], timeout_s: float = 900) -> int:
    """Wait for the end; give the exit code."""
    job.communicate(timeout=timeout_s)
    return job.returncode


def kill_one(job: subprocess.Popen[str], victim: str, tables: Path, commits: int, rng: random.Random) -> int:
    """Kill so many commits later and a moment after; give how many processes that were: none of a job that has ended."""
    delay_s = rng.uniform(0, 1)
    wait_for_commits(job, tables, commits)
    time.sleep(delay_s)
    killed = list_victims(job, victim, rng)
    while not killed and job.poll() is None and victim != "driver":
        time.sleep(0.05)  # there is none yet
        killed = list_victims(job, victim, rng)
    for process in killed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return len(killed)


def play_round(
    folder: Path, number: int, victims: tuple[str, ...], master: str, rng: random.Random
) -> dict[str, Any]:
    """Kill, run again, compare; give what happened. Raises ``AssertionError``."""
    tables = folder / f"round{number}"
    job = start(folder / "pictures", tables, master)
    commits = sorted(rng.choices(range(PICTURES // COMMIT_UNITS), k=len(victims)))
    killed = [
        kill_one(job, victim, tables, commit, rng) for victim, commit in zip(victims, commits, strict=True)
    ]
    codes = [finish(job)]
    while codes[-1] != 0 and len(codes) <= _RERUNS:
        codes.append(finish(start(folder / "pictures", tables, LOCAL)))
    said = {"round": number, "master": master, "killed": dict(zip(victims, killed, strict=True))}
    said |= {"after_commits": commits, "exit_codes": codes}
    differences = compare(tables, folder / "undisturbed") if codes[-1] == 0 else ["it never ended well"]
    if differences:
        raise AssertionError(f"{said}: {differences[:10]}")
    return said


def play(folder: Path, rounds: int, seed: int) -> list[dict[str, Any]]:
    """Play rounds, the victims in turn; give what each says. Raises ``AssertionError`` at the first loss."""
    rng = random.Random(seed)
    make_pictures(folder / "pictures")
    if finish(start(folder / "pictures", folder / "undisturbed", LOCAL)) != 0:
        raise AssertionError("the undisturbed run failed")
    said = []
    for number in range(rounds):
        said.append(play_round(folder, number, *VICTIMS[number % len(VICTIMS)], rng))
        print(json.dumps(said[-1]), flush=True)
    return said


def main() -> None:
    """Play in a temporary folder and print the seed first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    print(json.dumps({"rounds": given.rounds, "seed": given.seed}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder), given.rounds, given.seed)


if __name__ == "__main__":
    main()
