"""Hostile requests at random: no 5xx, right answers in between; `make soak` sends 10,000."""

import time

from tests.soak.hostile_requests import play


def test_nothing_hostile_is_answered_with_5xx(server):
    """Six hundred by a seed that is printed; the server is as well as before, and its log foresaw all."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")  # noqa: T201 (to play it again)
    statuses = play(server, 600, seed)
    assert {"200", "400", "422", "404", "405"} <= set(statuses)
    assert server.ask("GET", "/v2/health/ready")[0] == 200
    time.sleep(0.2)
    assert not [line for line in server.said if "unexpected" in line]
    metrics = server.ask("GET", "/metrics")[2].decode()
    assert "detector_pictures_in_flight 0.0" in metrics
    assert "detector_body_bytes 0.0" in metrics
