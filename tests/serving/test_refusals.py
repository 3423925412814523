"""What is refused, and how: keys, sizes, bombs, damage, wrong forms, settings; no log tells what was sent."""

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from .running import KEY, NAME, PROJECT, build_bomb

PREDICT, INFER = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"


@pytest.mark.parametrize("key", [None, "", KEY[:-1], KEY + "x", "\xe9" * 20, f"Bearer {KEY}"])
def test_no_key_no_answer(server, pictures, key):
    """Without the key, or with another: 401 everywhere but for health, page and metrics."""
    for method, path in (
        ("POST", "/detect"),
        ("POST", PREDICT),
        ("POST", INFER),
        ("GET", "/v2"),
        ("GET", f"/v2/models/{NAME}"),
        ("GET", f"/v1/models/{NAME}"),
    ):
        status, headers, content = server.ask(
            method, path, pictures[0] if method == "POST" else None, key=key
        )
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert json.loads(content)["error_class"] == "NoKey"
    for path in ("/", "/v2/health/live", "/v2/health/ready", "/metrics"):
        assert server.ask("GET", path, key=key)[0] == 200


def test_bearer_is_a_key_too(server, pictures):
    """``Authorization: bearer KEY``, in any case; other schemes aren't read."""
    for scheme, expected in (("Bearer", 200), ("bearer", 200), ("Basic", 401)):
        headers = {"Authorization": f"{scheme} {KEY}"}
        assert server.ask("POST", "/detect", pictures[0], headers, key=None)[0] == expected


@pytest.mark.parametrize(
    ("make", "status", "error_class"),
    [
        (lambda picture: b"", 400, "EmptyMedia"),
        (lambda picture: b"no picture at all", 422, "NotAnImage"),
        (lambda picture: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "NotAnImage"),
        (lambda picture: picture[: len(picture) // 2], 422, "DamagedImage"),
        (lambda picture: picture[:30], 422, "DamagedImage"),
        (lambda picture: build_bomb(), 422, "TooManyPixels"),
    ],
)
def test_bad_pictures(server, pictures, make, status, error_class):
    """The same status and class by every protocol; of several pictures the number is told."""
    content = make(pictures[0])
    answer = server.ask_json("POST", "/detect", content)
    assert (answer[0], answer[1]["error_class"]) == (status, error_class)
    both = [{"b64": base64.b64encode(one).decode()} for one in (pictures[1], content)]
    answer = server.ask_json("POST", PREDICT, json.dumps({"instances": both}))
    assert (answer[0], answer[1]["error_class"]) == (status, error_class)
    assert "picture 1:" in answer[1]["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PREDICT, b""), (PREDICT, b"{"), (PREDICT, b"[]"), (PREDICT, b"\xff\xfe"), (PREDICT, b"[" * 100_000),
        (PREDICT, b'{"instances": []}'), (PREDICT, b'{"instances": [1]}'), (PREDICT, b'{"instances": {"b64": ""}}'),
        (PREDICT, b'{"instances": [{"b64": "%%%"}]}'), (PREDICT, b'{"instances": [{"b64": "\\u00e9"}]}'),
        (PREDICT, b'{"instances": [{"b64": "aGk="}], "inputs": []}'), (PREDICT, b'{"instances": [{"b64": "aGk"}]}'),
        (INFER, b"{}"), (INFER, b'{"inputs": []}'), (INFER, b'{"inputs": [{}]}'),
        *((INFER, json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "data": ["aGk="]} | change]}).encode())
          for change in ({"shape": [2]}, {"shape": []}, {"shape": [1, 2]}, {"shape": ["1"]}, {"shape": [True]}, {"shape": None}, {"shape": [-1]},
                         {"shape": [1], "name": "x"}, {"shape": [1], "datatype": "FP32"}, {"shape": [1], "data": "aGk="}, {"shape": [1], "data": [1]},
                         {"shape": [1], "parameters": {"binary_data_size": "9"}}, {"shape": [1], "parameters": {"binary_data_size": 9}})),
        (INFER, b'{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["aGk="]}], "outputs": [{"name": "x"}]}'),
        (INFER, b'{"id": "\\ud800", "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["aGk="]}]}'),
    ],
)  # fmt: skip
def test_wrong_forms(server, path, body):
    """400 with a reason, and nothing of the body in it."""
    status, answer = server.ask_json("POST", path, body)
    assert (status, answer["error_class"]) == (400, "BadRequest")
    assert "aGk" not in answer["error"]
    assert "%%%" not in answer["error"]


def test_other_models_and_addresses(server, pictures):
    """404 and 405, as JSON; too many pictures are 413."""
    for method, path, expected in (
        ("POST", "/v1/models/other:predict", 404), ("POST", "/v2/models/other/infer", 404), ("GET", "/etc/passwd", 404),
        ("POST", f"/v2/models/{NAME}/versions/7/infer", 404), ("GET", "/v2/models/..%2f..%2fetc", 404), ("GET", "/detect", 405),
        ("POST", "/", 405), ("GET", "/detect/", 404), ("DELETE", "/v2", 405),
    ):  # fmt: skip
        status, answer = server.ask_json(method, path)
        assert (status, "error" in answer) == (expected, True), path
    one = {"b64": base64.b64encode(pictures[0]).decode()}
    assert server.ask("POST", PREDICT, json.dumps({"instances": [one] * 33}))[0] == 413


def send(server, *parts, pause_s=0.0):
    """Send bytes as they are; give what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain:
        wrapped = plain
        if server.address.startswith("https"):
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            wrapped = trusting.wrap_socket(plain)
        received = b""
        try:
            for part in parts:
                wrapped.sendall(part)
                time.sleep(pause_s)
            while chunk := wrapped.recv(65536):
                received += chunk
        except (ConnectionError, ssl.SSLError):
            pass
        return received


def test_a_hundred_megabytes(server, narrow):
    """413 by the announced length, before the body; and by counting where none is announced."""
    announced = (
        b"POST /detect HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: " + KEY.encode() + b"\r\n"
    )
    head = announced + b"Content-Length: 104857600\r\n\r\n"
    assert send(server, head).startswith(b"HTTP/1.1 413 ")
    assert server.ask_json("POST", "/detect", bytes(100 * 1024 * 1024))[0] == 413
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    assert send(narrow, announced + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 5).startswith(
        b"HTTP/1.1 413 "
    )
    assert server.ask("GET", "/v2/health/ready")[0] == 200


def test_slow_clients_are_let_go(narrow, pictures):
    """Half a head or half a body: 408 or a closed connection, and the server answers others meanwhile."""
    head = (
        b"POST /detect HTTP/1.1\r\nHost: x\r\nX-API-Key: "
        + KEY.encode()
        + b"\r\nContent-Length: 5000\r\n\r\n"
    )
    answers = []
    threads = [
        threading.Thread(target=lambda sent=sent: answers.append(send(narrow, sent)))
        for sent in (b"POST /detect HT", head[:40], head + b"x" * 100, b"")
    ]
    for thread in threads:
        thread.start()
    assert narrow.ask("POST", "/detect", pictures[0])[0] == 200
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(answers)[:3] == [b"", b"", b""]
    assert sorted(answers)[3].startswith(b"HTTP/1.1 408 ")


def test_endless_heads_are_cut(server):
    """A head of a megabyte is nobody's; the connection ends."""
    for line in (b"X-Long: " + b"a" * 1_000_000 + b"\r\n", b"X-Many: a\r\n" * 100_000):
        assert b"HTTP/1.1 2" not in send(server, b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n", line)
    assert server.ask("GET", "/v2/health/live")[0] == 200


def test_a_full_queue_says_so(narrow, pictures):
    """More at once than there is room for: 429 with Retry-After, the others right; alone, all is well."""
    got = []

    def ask():
        for _ in range(6):
            status, headers, content = narrow.ask("POST", "/detect", pictures[0])
            got.append((status, headers.get("retry-after"), content if status == 200 else None))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, *_ in got} == {200, 429}
    assert {retry for status, retry, _ in got if status == 429} == {"1"}
    _, _, alone = narrow.ask("POST", "/detect", pictures[0])
    expected = [box["label"] for box in json.loads(alone)["detections"]]
    for status, _, content in got:
        assert status == 429 or [box["label"] for box in json.loads(content)["detections"]] == expected
    three = [{"b64": base64.b64encode(pictures[0]).decode()}] * 3
    assert narrow.ask("POST", PREDICT, json.dumps({"instances": three}))[0] == 413  # more than max_pictures


def test_metrics_may_need_the_key(narrow):
    """serve.metrics_need_key."""
    assert [narrow.ask("GET", "/metrics", key=key)[0] for key in (None, KEY)] == [401, 200]


def test_logs_hold_no_secrets(server, pictures):
    """After the key, a picture, a path and a header were sent: routes and classes alone."""
    server.ask("POST", "/detect?min_score=0.123456", pictures[0], {"X-Odd": "odd-header-value"})
    server.ask(
        "POST", "/detect", b"odd-content", {"Authorization": "Bearer odd-key-0123456789abcdef"}, key=None
    )
    server.ask("GET", "/odd-address")
    send(server, b"odd nonsense\r\n\r\n")
    time.sleep(0.5)
    said = "".join(server.said)
    assert '"error_class": "NoKey"' in said
    assert "odd-" not in said
    assert "0.123456" not in said
    assert KEY not in said
    assert "Traceback" not in said
    assert all(json.loads(line)["level"] for line in server.said if line.startswith("{"))


@pytest.mark.parametrize(
    ("flags", "key", "message"),
    [
        (["--serve.host", "0.0.0.0"], None, "allow_no_key"),
        (["--serve.host", "::"], None, "allow_no_key"),
        ([], "too-short", "16 or more"),
        (["--serve.api_key", KEY], None, "DETECTOR_SERVE__API_KEY"),
        (["--serve.api_key_file", "/nonexistent"], None, "api_key_file"),
        (["--serve.tls_cert", "x.pem"], None, "both or none"),
        (["--serve.tls_cert", "README.md", "--serve.tls_key", "README.md"], None, "tls_cert"),
        (["--serve.hots", "x"], None, "serve.host"),
        (["--model.uri", "/nonexistent"], None, "nonexistent"),
    ],
)  # fmt: skip
def test_settings_are_refused(flags, key, message):
    """Exit code 2 and one line on standard error, without the key."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DETECTOR_")}
    environment |= {} if key is None else {"DETECTOR_SERVE__API_KEY": key}
    done = subprocess.run(
        [sys.executable, "jobs/serve.py", "--config", "conf/serve.yaml", "--serve.port", "0", *flags],
        cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr
    assert "too-short" not in done.stderr
