"""Two runs at once, also when one sleeps through the other: every unit once, and both say what they did."""

import time

import pytest

from . import race_rounds


@pytest.mark.own_spark
@pytest.mark.timeout(1200)
def test_two_runs_at_once_share_the_work(tmp_path):
    """One round together and one with a pause, by a seed that is printed; `make soak` plays many."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    said = race_rounds.play(tmp_path, rounds=2, seed=seed)
    assert ["together" in line for line in said] == [True, False]


def test_counts_that_do_not_fit_are_told(tmp_path):
    """A file that both count as scored, and a run without its row, are told."""
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(tmp_path / "runs"), pa.table({"run_id": ["a"], "status": ["done"]}))
    whole = race_rounds.kill_rounds.PICTURES
    first = {
        "run_id": "a",
        "listed": whole,
        "scored": whole,
        "failed": 0,
        "skipped": 0,
        "skipped_reasons": {},
    }
    second = first | {
        "run_id": "b",
        "scored": 1,
        "skipped": whole - 1,
        "skipped_reasons": {"hidden": whole - 1},
    }
    wrong = race_rounds.check_counts(tmp_path, [first, second])
    assert [line.split()[0] for line in wrong] == ["skipped", "the", "runs"]
