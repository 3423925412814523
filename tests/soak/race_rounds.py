"""Two runs at once on the same tables and media: no unit twice, none missing, and the later one says what it left.

    python tests/soak/race_rounds.py --rounds 20 --seed 7        (`make soak`)

Two processes, each with a Spark driver of its own, wait for the word and start together. In every second round one of
them is paused by SIGSTOP in the middle, its JVM and Python workers too, and wakes after the other has finished. The rows are then
compared with those of an undisturbed run, and the counts of both runs with each other.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import deltalake
import psutil

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "tests" / "soak"), str(PROJECT)]  # as a program; a test imports it as a module

import kill_rounds  # noqa: E402

_ANSWER, _FAILED = "summary ", "failed "


class Runner:
    """A process that scores when told, again and again, in one Spark session."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, "--runner"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stopped: list[psutil.Process] = []

    def start(self, pictures: Path, tables: Path) -> None:
        """Score ``pictures`` into ``tables``; the answer is read by ``finish``."""
        self._process.stdin.write(json.dumps([str(pictures), str(tables)]) + "\n")
        self._process.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """Wait for the run's end; give its summary. Raises ``AssertionError`` for a run that failed."""
        for line in self._process.stdout:
            if line.startswith(_ANSWER):
                return json.loads(line.removeprefix(_ANSWER))
            if line.startswith(_FAILED):
                raise AssertionError(json.loads(line.removeprefix(_FAILED)))
        raise AssertionError("the runner ended")

    def pause(self) -> None:
        """Stop the driver, its JVM and its Python workers."""
        driver = psutil.Process(self._process.pid)
        self._stopped = [driver, *driver.children(recursive=True)]
        for process in self._stopped:
            with contextlib.suppress(psutil.NoSuchProcess):  # a worker that ends just now
                process.suspend()

    def resume(self) -> None:
        """Let them go on."""
        for process in reversed(self._stopped):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def close(self) -> None:
        """End the process."""
        self.resume()
        self._process.stdin.close()
        self._process.wait(120)


def serve() -> None:
    """Be a runner: a line with pictures and tables in, a line with the summary out."""
    import traceback

    from detector.scoring.job import score
    from detector.session import open_session
    from detector.settings import ScoreSettings

    spark = open_session("race", master=kill_rounds.LOCAL)
    print(_ANSWER + "{}", flush=True)  # ready
    for line in sys.stdin:
        pictures, tables = json.loads(line)
        model = {
            "uri": str(kill_rounds.DEMO / "saved_model"),
            "labels": str(kill_rounds.DEMO / "label_map.pbtxt"),
        }
        settings = ScoreSettings(
            media={"paths": [pictures]},
            model=model,
            tables={"root": tables},
            run={"commit_units": kill_rounds.COMMIT_UNITS, "task_units": 2},
        )
        try:
            print(_ANSWER + score(spark, settings).to_json(), flush=True)
        except Exception:  # noqa: BLE001 (told to the parent)
            print(_FAILED + json.dumps(traceback.format_exc()), flush=True)
    spark.stop()


def count_commits(tables: Path) -> int:
    """Count the commits of ``scores``; the first made the table."""
    return len(list((tables / "scores" / "_delta_log").glob("*.json")))


def play_round(folder: Path, number: int, runners: list[Runner], rng: random.Random) -> str:
    """Run both, compare; give a line that says what happened. Raises ``AssertionError``."""
    pictures, tables = folder / "pictures", folder / f"race{number}"
    paused = rng.choice(runners) if number % 2 else None
    commits, delay_s = rng.randint(0, 3), rng.uniform(0, 1)
    for runner in runners:
        runner.start(pictures, tables)
    if paused is not None:
        while count_commits(tables) < commits:
            time.sleep(0.02)
        time.sleep(delay_s)
        paused.pause()
    waking = [runner for runner in runners if runner is not paused]
    summaries = [runner.finish() for runner in waking]
    left = kill_rounds.PICTURES - len(read_committed(tables))
    if paused is not None:
        paused.resume()
        summaries.append(paused.finish())
    differences = kill_rounds.compare(tables, folder / "undisturbed")
    differences += check_counts(tables, summaries)
    if left and paused is not None:
        differences.append(f"the run beside the paused one left {left} units")
    if differences:
        raise AssertionError(f"round {number}: {differences[:10]}; {summaries}")
    how = "together" if paused is None else f"one paused {delay_s:.2f} s after commit {commits}"
    told = [f"{s['scored']}+{s['failed']} and {s['skipped_reasons']}" for s in summaries]
    return f"round {number}: {how}: {'; '.join(told)}"


def read_committed(tables: Path) -> list[Any]:
    """List the score_ids that are committed."""
    return (
        deltalake.DeltaTable(str(tables / "scores"))
        .to_pyarrow_table(columns=["score_id"])
        .column(0)
        .to_pylist()
    )


def check_counts(tables: Path, summaries: list[dict[str, Any]]) -> list[str]:
    """Tell where the counts of two runs don't fit together: every file is one run's work and left by the other."""
    wrong = []
    for summary in summaries:
        done = summary["scored"] + summary["failed"] + summary["skipped"]
        if not summary["listed"] == done == kill_rounds.PICTURES:
            wrong.append(f"listed {summary['listed']}, told {done}")
        strange = summary["skipped_reasons"].keys() - {
            "already_scored",
            "already_failed",
            "scored_by_another_run",
        }
        if strange or summary["skipped"] != sum(summary["skipped_reasons"].values()):
            wrong.append(f"skipped for {summary['skipped_reasons']}")
    if sum(s["scored"] + s["failed"] for s in summaries) != kill_rounds.PICTURES:
        wrong.append("the work of both is not the whole")
    rows = (
        deltalake.DeltaTable(str(tables / "runs")).to_pyarrow_table(columns=["run_id", "status"]).to_pylist()
    )
    if {(row["run_id"], row["status"]) for row in rows} != {(s["run_id"], "done") for s in summaries}:
        wrong.append(f"runs holds {rows}")
    return wrong


def play(folder: Path, rounds: int, seed: int) -> list[str]:
    """Play rounds, every second one with a pause; give what each says. Raises ``AssertionError`` at the first loss."""
    rng = random.Random(seed)
    kill_rounds.make_pictures(folder / "pictures")
    runners = [Runner(), Runner()]
    try:
        for runner in runners:
            runner.finish()
        runners[0].start(folder / "pictures", folder / "undisturbed")
        runners[0].finish()
        said = []
        for number in range(rounds):
            said.append(play_round(folder, number, runners, rng))
            print(said[-1], flush=True)
        return said
    finally:
        for runner in runners:
            runner.close()


def main() -> None:
    """Play in a temporary folder and print the seed first, or be one of the runners."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--runner", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.runner:
        serve()
        return
    print(json.dumps({"rounds": given.rounds, "seed": given.seed}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder), given.rounds, given.seed)


if __name__ == "__main__":
    main()
