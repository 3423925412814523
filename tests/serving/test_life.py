"""The server's life: live before ready, SIGTERM in order, kill -9 and a new one under load."""

import http.client
import json
import signal
import threading
import time

import pytest

from .running import Running


@pytest.fixture(scope="module")
def mortal():
    """Give a list of one server, which the tests replace; it drains for a second and a half."""
    started = [Running("--serve.drain_s", "1.5", key=None)]
    yield started
    started[0].stop()


def test_live_at_once_ready_when_warm(mortal, pictures):
    """Before the model is warm: live, not ready, 503 with Retry-After. On loopback no key is needed."""
    running = mortal[0]
    assert running.ask("GET", "/v2/health/live")[0] == 200
    assert running.ask_json("GET", "/v2/health/ready") == (503, {"ready": False})
    status, headers, _ = running.ask("POST", "/detect", pictures[0])
    assert (status, headers["retry-after"]) == (503, "1")
    running.wait_until_ready()
    assert running.ask("POST", "/detect", pictures[0], key=None)[0] == 200


def ask_for_ever(choose_server, pictures, expected, ended, got):
    """Ask one picture after another until ``ended``; keep each status, or the error of the connection."""
    number = 0
    while not ended.is_set():
        place = number % len(pictures)
        number += 1
        try:
            status, answer = choose_server().ask_json("POST", "/detect", pictures[place])
        except (OSError, json.JSONDecodeError, EOFError, http.client.HTTPException) as error:
            got.append(type(error).__name__)
            time.sleep(0.02)
            continue
        labels = [box["label"] for box in answer.get("detections", [])]
        got.append(status if status != 200 or labels == expected[place] else f"wrong: {labels}")


def start_asking(choose_server, pictures, expected):
    """Start four clients; give what ends them, and what they get."""
    ended, got = threading.Event(), []
    threads = [
        threading.Thread(target=ask_for_ever, args=(choose_server, pictures, expected, ended, got))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()

    def end():
        ended.set()
        for thread in threads:
            thread.join()

    return end, got


def list_labels(server, pictures):
    """List each picture's labels as an undisturbed server finds them."""
    found = [server.ask_json("POST", "/detect", one)[1]["detections"] for one in pictures]
    return [[box["label"] for box in one] for one in found]


def test_killed_under_load_no_answer_is_wrong(server, mortal, pictures):
    """A kill -9 among requests, a new one: broken connections and 503 meanwhile, never a wrong answer."""
    mortal[0].wait_until_ready()
    end, got = start_asking(lambda: mortal[0], pictures, list_labels(server, pictures))
    try:
        time.sleep(0.5)
        mortal[0].process.send_signal(signal.SIGKILL)
        mortal[0].process.wait(30)
        mortal[0] = Running("--serve.drain_s", "1.5")
        mortal[0].wait_until_ready()
        time.sleep(0.5)
    finally:
        end()
    assert got.count(200) > 20
    assert not [one for one in got if str(one).startswith("wrong") or one in {400, 422, 500}]


def test_terminated_under_load_nothing_is_lost(server, mortal, pictures):
    """SIGTERM: ready goes false, requests still succeed until it's over, exit code 0."""
    running = mortal[0].wait_until_ready()
    end, got = start_asking(lambda: running, pictures, list_labels(server, pictures))
    try:
        time.sleep(0.3)
        running.process.terminate()
        time.sleep(0.5)
        assert running.ask_json("GET", "/v2/health/ready") == (503, {"ready": False})
        assert running.ask("GET", "/v2/health/live")[0] == 200
        assert running.ask("POST", "/detect", pictures[0])[0] == 200
        assert running.process.wait(60) == 0
    finally:
        end()
    # A connection that nobody had accepted is reset; an answer that didn't come would be RemoteDisconnected.
    assert set(got) - {"ConnectionRefusedError", "ConnectionResetError"} == {200}
