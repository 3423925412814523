"""Servers that tests share: one as a user starts it, one whose bounds are narrow."""

import subprocess

import pytest

from .running import Running, encode_picture


@pytest.fixture(scope="session")
def server():
    """Give the demo's server, ready, with a key."""
    running = Running("--serve.drain_s", "0")
    try:
        yield running.wait_until_ready()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def narrow(tmp_path_factory):
    """Give a server by HTTPS with room for two pictures, small bodies and little patience."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "tls.key", folder / "tls.crt"
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        ["openssl", "req", *words, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    running = Running(
        "--serve.tls_key", str(key), "--serve.tls_cert", str(certificate), "--serve.queue_length", "2",
        "--serve.max_body_bytes", "300000", "--serve.receive_timeout_s", "1", "--serve.models", "1",
        "--serve.metrics_need_key", "--serve.drain_s", "0", "--serve.max_pictures", "2",
    )  # fmt: skip
    try:
        yield running.wait_until_ready()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def pictures():
    """Give the bytes of eight pictures: JPEG and PNG, of two sizes."""
    return [
        encode_picture(
            2000 + seed,
            kind=("JPEG", "PNG")[seed % 2],
            height_px=(96, 120)[seed // 2 % 2],
            width_px=128,
        )
        for seed in range(8)
    ]
