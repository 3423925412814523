"""Send the server hostile requests at random; nothing may be answered with 5xx, or leave it unwell.

    python tests/soak/hostile_requests.py --requests 10000 --seed 7        (`make soak`)

Starts jobs/serve.py itself. Requests are good ones with something wrong: bytes flipped, cut or repeated in
pictures, JSON, forms, heads and lengths; or nonsense. A client may hang up before the
answer. Every 100th is a good one, whose answer must be right.
"""

import argparse
import base64
import collections
import json
import random
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a program, too

from tests.serving.running import KEY, NAME, Running, build_bomb, encode_picture

_ODD_VALUES = (
    "null",
    "-1",
    "1e999",
    '"x"',
    "[]",
    "{}",
    "true",
    "18446744073709551616",
    '"\\ud800"',
    "[[[[]]]]",
)
_HEADERS = (
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 7\r\nContent-Length: 9",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue", b"Upgrade: h2c",
    b"Content-Type: multipart/form-data", b"Content-Type: multipart/form-data; boundary=" + b"-" * 300,
    b"Accept: " + b"image/png," * 500, b"Inference-Header-Content-Length: 5", b"Range: bytes=0-1,0-2", b"Host: \x00",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13", b"X-API-Key: \xff",
    b"Content-Encoding: gzip", b"Authorization: Bearer", b"Authorization: " + b"Bearer " * 1000,
)  # fmt: skip
_PATHS = (
    "/", "/detect", "/detect?min_score=%00", "/detect?min_score=" + "9" * 400, "/v2", f"/v2/models/{NAME}",
    "/v2/models/%2e%2e/infer", "/%ff%fe", "//", "/v1/models/:predict", "*", "http://x/detect", "/metrics?" + "a" * 2000, "/\u00e9",
)  # fmt: skip
_ANSWER_S, _PATIENCE_S = 60, 0.15  # for requests that are whole, and for those that may never be


class Maker:
    """Makes requests by a seed."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.pictures = [
            encode_picture(number, kind=kind)
            for number, kind in enumerate(("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"))
        ]
        self.bomb = build_bomb()

    def make(self):
        """Make the bytes of one request, and tell whether it is whole: its head unspoilt, its length true."""
        is_whole = True
        kind = self.draw.choice(
            (self._make_raw, self._make_form, self._make_predict, self._make_infer, self._make_binary)
        )
        path, headers, body = kind(self._spoil(self._choose_picture()))
        if self.draw.random() < 0.4:
            body = self._spoil(body)
        length = len(body)
        if self.draw.random() < 0.05:
            length, is_whole = self.draw.randrange(2 * len(body) + 2), False
        headers = [
            b"Host: x",
            b"Connection: close",
            b"X-API-Key: " + KEY.encode(),
            b"Content-Length: %d" % length,
            *headers,
        ]
        if self.draw.random() < 0.25:
            is_whole = False
            headers.insert(self.draw.randrange(len(headers)), self.draw.choice(_HEADERS))
        if self.draw.random() < 0.1:
            is_whole = False
            path = self.draw.choice(_PATHS)
        method = self.draw.choice(("POST",) * 18 + ("GET", "PUT", "HEAD", "OPTIONS", "BREW", "CONNECT"))
        head = b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *headers, b"", b""])
        if self.draw.random() < 0.05:
            is_whole = False
            head = self._spoil(head)
        return head + body, is_whole and method != "CONNECT"

    def _choose_picture(self):
        return self.bomb if self.draw.random() < 0.02 else self.draw.choice(self.pictures)

    def _spoil(self, content):
        """Flip, cut, repeat or replace a part of bytes; or leave them."""
        content, way = bytearray(content), self.draw.randrange(6)
        at = self.draw.randrange(len(content) + 1)
        end = min(len(content), at + self.draw.choice((1, 4, 100)))
        if way == 0 and at < len(content):
            for _ in range(self.draw.choice((1, 3, 50))):
                content[self.draw.randrange(len(content))] ^= 1 << self.draw.randrange(8)
        elif way == 1:
            del content[at:]
        elif way == 2:
            content[at:end] = content[at:end] * self.draw.choice((2, 10))
        elif way == 3:
            content[at:end] = self.draw.randbytes(self.draw.choice((0, 1, 20)))
        elif way == 4 and self.draw.random() < 0.2:
            content = bytearray(self.draw.randbytes(self.draw.randrange(200)))
        return bytes(content)

    def _make_raw(self, picture):
        accept = self.draw.choice((b"Accept: */*", b"Accept: image/*", b"Accept: image/png"))
        return "/detect", [accept], picture

    def _make_form(self, picture):
        part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="p"\r\n\r\n' + picture + b"\r\n"
        body = part * self.draw.choice((0, 1, 1, 1, 2, 30)) + b"--b--\r\n"
        return "/detect", [b"Content-Type: multipart/form-data; boundary=b"], body

    def _make_predict(self, picture):
        one = {"b64": base64.b64encode(picture).decode()}
        many = [one] * self.draw.choice((0, 1, 1, 2, 5, 40))
        body = json.dumps(
            {
                self.draw.choice(("instances", "inputs", "x")): self.draw.choice(
                    (many, many, one, {"image": many})
                )
            }
        )
        return f"/v1/models/{NAME}:predict", [b"Content-Type: application/json"], self._spoil_json(body)

    def _make_infer(self, picture):
        data = [base64.b64encode(picture).decode()] * self.draw.choice((0, 1, 2))
        tensor = {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data}
        body = json.dumps(
            {"id": "1", "inputs": [tensor], "outputs": [{"name": "num_detections"}], "parameters": {}}
        )
        return f"/v2/models/{NAME}/infer", [], self._spoil_json(body)

    def _make_binary(self, picture):
        binary = struct.pack("<I", len(picture)) + picture
        tensor = {
            "name": "image",
            "datatype": "BYTES",
            "shape": [1],
            "parameters": {"binary_data_size": len(binary)},
        }
        head = self._spoil_json(json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}))
        return f"/v2/models/{NAME}/infer", [b"Inference-Header-Content-Length: %d" % len(head)], head + binary

    def _spoil_json(self, text):
        if self.draw.random() < 0.5:
            places = [at for at, letter in enumerate(text) if letter in "[{:,"]
            at = self.draw.choice(places) + 1
            text = text[:at] + self.draw.choice(_ODD_VALUES) + self.draw.choice(("", ",")) + text[at:]
        return text.encode()


def play(server, requests, seed):
    """Send them; give how often each status came (``none``: closed without one). Raises on a 5xx or a wrong answer."""
    maker, statuses = Maker(seed), collections.Counter()
    expected = server.ask_json("POST", "/detect", maker.pictures[1])[1]["detections"]
    for number in range(requests):
        if number % 100 == 0:
            status, answer = server.ask_json("POST", "/detect", maker.pictures[1])
            assert status == 200
            assert [box["label"] for box in answer["detections"]] == [box["label"] for box in expected]
        request, is_whole = maker.make()
        hangs_up = maker.draw.random() < 0.05
        answer = _send(server.port, request, 0 if hangs_up else _ANSWER_S if is_whole else _PATIENCE_S)
        status = answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "none"
        statuses[status] += 1
        assert not status.startswith("5"), (
            f"seed {seed}, request {number}: {answer[:300]!r} to {request[:300]!r}"
        )
        assert hangs_up or not is_whole or status != "none", (
            f"seed {seed}, request {number}: no answer to {request[:300]!r}"
        )
        assert server.process.poll() is None, (
            f"seed {seed}, request {number}: the server has ended: {request[:300]!r}"
        )
    return statuses


def _send(port, request, patience_s):
    """Send a request, and give what comes back in that time; hang up at once where it is 0."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S) as connection:
        received = b""
        try:
            connection.sendall(request)
            if not patience_s:
                return b""
            connection.settimeout(patience_s)
            while chunk := connection.recv(65536):
                received += chunk
        except (ConnectionError, TimeoutError):
            pass
        return received


def main():
    """Start a server and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    server = Running("--serve.receive_timeout_s", "5", "--serve.drain_s", "0").wait_until_ready()
    started = time.monotonic()
    try:
        statuses = play(server, given.requests, given.seed)
    finally:
        code = server.stop()
    unexpected = [line for line in server.said if "unexpected" in line]
    print(
        f"{given.requests} requests in {time.monotonic() - started:.0f} s: {dict(statuses.most_common())}; exit code {code}"
    )
    print("".join(unexpected) or "nothing unexpected in the log")
    return 0 if code == 0 and not unexpected else 1


if __name__ == "__main__":
    sys.exit(main())
