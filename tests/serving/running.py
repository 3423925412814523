"""jobs/serve.py as a process of its own, and plain HTTP to it."""

import contextlib
import http.client
import io
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from detector.annotations.shapes import draw_picture

PROJECT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-these-tests-0123456789"
NAME = "demo_shapes"


class Running:
    """A running server: its process, where it listens, what it said on standard error."""

    def __init__(self, *flags, key=KEY):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DETECTOR_")}
        # Neither Java nor Spark may be needed.
        environment |= {"JAVA_HOME": "/nonexistent", "SPARK_HOME": "/nonexistent"}
        if key is not None:
            environment["DETECTOR_SERVE__API_KEY"] = key
        command = [
            sys.executable,
            "jobs/serve.py",
            "--config",
            "conf/serve.yaml",
            "--serve.port",
            "0",
            *flags,
        ]
        self.process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.said = []
        threading.Thread(target=self._listen, daemon=True).start()
        first = self.process.stdout.readline()
        if not first:
            raise AssertionError(f"it ended with {self.process.wait(30)}: {''.join(self.said)}")
        self.address = json.loads(first)["listening"]
        self.port = int(self.address.rpartition(":")[2])

    def _listen(self):
        self.said.extend(self.process.stderr)

    def connect(self, timeout=60):
        """Give a connection."""
        if self.address.startswith("https"):
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=trusting)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, *, key=KEY):
        """Ask on a connection of its own; give status, headers and body."""
        headers = dict(headers or {}) | ({} if key is None else {"X-API-Key": key})
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def ask_json(self, *asked, **more):
        """Ask, and give status and the JSON answered."""
        status, _, content = self.ask(*asked, **more)
        return status, json.loads(content)

    def wait_until_ready(self):
        """Wait until the model is warm."""
        end = time.monotonic() + 300
        while self.ask("GET", "/v2/health/ready")[0] != 200:
            assert time.monotonic() < end, self.said
            time.sleep(0.1)
        return self

    def stop(self):
        """End it as a supervisor does; give its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)


def encode_picture(seed, *, kind="JPEG", height_px=96, width_px=128):
    """Draw a picture and encode it."""
    pixels, _, _ = draw_picture(np.random.default_rng(seed), height_px=height_px, width_px=width_px)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def build_bomb():
    """Encode a small PNG of 400 million pixels."""
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()
