"""Whole searches: real processes, a real study, real runs; crashes, kills, going on, and no network."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.errors import SettingsError, TrainingError
from detector.training.experiment.runs import start_run
from detector.training.search.search import hold_search, run_search

DRIVE = Path(__file__).with_name("drive.py")
PARENT = "tags.mlflow.parentRunId"


def read_runs(experiment, parent):
    """Read the runs below a parent by name."""
    found = experiment.client.search_runs([experiment.experiment_id], f"{PARENT} = '{parent}'")
    return {run.info.run_name: run for run in found}


def wait_for(condition, what, seconds=400):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def is_alive(pid):
    """Tell whether a process runs; one that has ended and waits for its parent doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_crashes_fail_their_trial_and_no_other(
    make_settings, out, experiment, fake_work, monkeypatch, tmp_path
):
    """One trial raises, one dies, one's settings don't go together, one is fine: that's the best.

    Each has its MLflow run below the search's with the right end, and nothing asked the network.
    """
    monkeypatch.setenv("ASKED_OF_NETWORK", str(tmp_path / "asked.txt"))
    space = {"augment.scale": [[0.5, 2.0], [2.0, 0.5]], "fit.seed": [1, 13, 14]}
    settings = make_settings(space, out, parallel=2, fit={"epochs": 2, "learning_rate": 0.5})
    said = []
    with start_run(experiment, "search") as run:
        outcome = run_search(settings, folder=out / "crashes", run=run, tell=said.append, work=fake_work)
    assert (outcome.best.number, outcome.best.metric, outcome.best.settings.fit.seed) == (0, 0.5, 1)
    assert (outcome.best.package / "saved_model").is_dir()
    rows = {row.trial: row for row in outcome.leaderboard.rows}
    assert [rows[number].status for number in range(6)] == ["done", *["failed"] * 5]
    assert rows[1].error == "ValueError: seed 13 is unlucky"
    assert rows[2].error.startswith("killed by SIGKILL; out of memory?")
    assert "give a smaller and a larger factor" in rows[3].error
    assert rows[0].curve == ((1, 0.25), (2, 0.5))
    assert (rows[0].ap, rows[0].minutes, rows[0].size_bytes, rows[0].rank) == (0.25, 1.0, 100, 1)
    runs = read_runs(experiment, run.run_id)
    ends = {name: (kept.info.status, kept.data.tags.get("error", "")[:17]) for name, kept in runs.items()}
    assert ends == {
        "trial 0": ("FINISHED", ""),
        "trial 1": ("FAILED", "ValueError: seed "),
        "trial 2": ("FAILED", "killed by SIGKILL"),
    }
    assert runs["trial 0"].data.params["fit.seed"] == "1"
    assert runs["trial 0"].data.metrics["best/ap50"] == 0.5
    assert len([words for words in said if "begins" in words]) == 6
    assert not (tmp_path / "asked.txt").exists()


def test_killed_search_goes_on(make_settings, out, experiment, fake_work):
    """SIGKILL in the middle of the second of three trials: its process ends, too; each trial ends once.

    The killed trial comes again under its number, in its folder and its MLflow run; the first isn't repeated.
    """
    settings = make_settings({"fit.learning_rate": [0.2, 0.4, 0.3]}, out)
    folder = out / "killed"
    folder.mkdir()
    (folder / "wait.txt").write_text("0001")
    with start_run(experiment, "killed") as run:
        command = [sys.executable, str(DRIVE), settings.model_dump_json(), run.run_id]
        parent = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for((folder / "waiting.txt").exists, "the second trial")
            child = int((folder / "calls.txt").read_text().splitlines()[-1].split()[1])
            assert is_alive(child)
        finally:
            parent.kill()
            parent.wait()
        wait_for(lambda: not is_alive(child), "the end of the child")
        (folder / "wait.txt").unlink()
        outcome = run_search(settings, folder=folder, run=run, tell=str, work=fake_work)
    calls = [line.split()[0] for line in (folder / "calls.txt").read_text().splitlines()]
    assert calls == ["0000", "0001", "0001", "0002"]
    assert (folder / "done.txt").read_text().split() == ["0000", "0001", "0002"]
    assert [(row.trial, row.metric) for row in outcome.leaderboard.rows] == [(1, 0.4), (2, 0.3), (0, 0.2)]
    runs = read_runs(experiment, run.run_id)
    assert {name: kept.info.status for name, kept in runs.items()} == dict.fromkeys(
        ("trial 0", "trial 1", "trial 2"), "FINISHED"
    )
    started = time.monotonic()
    again = run_search(settings, folder=folder, run=run, tell=str, work=fake_work)
    assert again == outcome
    assert time.monotonic() - started < 5
    assert len((folder / "calls.txt").read_text().splitlines()) == 4


def test_two_searches_in_a_folder_are_refused(make_settings, out, experiment, fake_work):
    """The second one says so, instead of doing the first one's trials."""
    settings = make_settings({"fit.seed": [1]}, out)
    with (
        start_run(experiment, "second") as run,
        hold_search(out / "held"),
        pytest.raises(SettingsError, match="another search is at work there"),
    ):
        run_search(settings, folder=out / "held", run=run, tell=str, work=fake_work)


def test_search_without_a_result_is_an_error(make_settings, out, experiment, fake_work):
    """When no trial came to an end, the first one's error is told."""
    settings = make_settings({"augment.scale": [[2.0, 0.5]]}, out)
    with start_run(experiment, "nothing") as run, pytest.raises(TrainingError, match="none of 1 trials came"):
        run_search(settings, folder=out / "nothing", run=run, tell=str, work=fake_work)


def test_no_trial_begins_after_the_timeout(make_settings, out, experiment, fake_work):
    """A time that is over at once: nothing is begun, and the study can go on later."""
    settings = make_settings({"fit.seed": [1]}, out, timeout_s=1e-9)
    said = []
    with start_run(experiment, "late") as run, pytest.raises(TrainingError, match="none of 0 trials"):
        run_search(settings, folder=out / "late", run=run, tell=said.append, work=fake_work)
    assert not any("begins" in words for words in said)


def test_unknown_key_is_refused_before_anything_starts(make_settings, out, experiment, fake_work):
    """No folder, no study, no trial."""
    settings = make_settings({"fit.epoch": [1]}, out)
    with (
        start_run(experiment, "typo") as run,
        pytest.raises(SettingsError, match=r"did you mean fit\.epochs"),
    ):
        run_search(settings, folder=out / "typo", run=run, tell=str, work=fake_work)
    assert not (out / "typo").exists()
