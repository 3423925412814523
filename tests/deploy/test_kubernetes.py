"""spark-submit's line for Kubernetes, up to the API: a made-up server on 127.0.0.1 takes the driver's pod and shows it."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
IMAGE = "registry.example/detector:0.1.0"


@pytest.fixture
def api():
    """Give the address of a server that says yes to all, and what it was asked to make."""
    made = []

    class Server(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = (
                json.loads(self.rfile.read(length) or b"{}") if length else {"kind": "PodList", "items": []}
            )
            if length:
                made.append(body)
                body.setdefault("metadata", {})["uid"] = "made-up"
            answer = json.dumps(body).encode()
            self.send_response(201 if self.command == "POST" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 (the library's names)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"k8s://http://127.0.0.1:{server.server_port}", made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.own_spark
def test_the_driver_s_pod(api):
    """It starts our entry point's driver in our image with the job; the settings file is mounted, GPUs are asked for."""
    address, made = api
    conf = {
        "spark.kubernetes.namespace": "detector",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "detector",
        "spark.kubernetes.container.image": IMAGE,
        "spark.executor.resource.gpu.discoveryScript": "/opt/detector/conf/spark/find_gpus.sh",
        "spark.executor.instances": "4",
        "spark.kubernetes.submission.waitAppCompletion": "false",
    }
    done = subprocess.run(
        [
            "spark-submit", "--master", address, "--deploy-mode", "cluster", "--name", "detector-score",
            "--properties-file", PROJECT / "conf" / "spark" / "gpu.conf",
            *(word for setting in conf.items() for word in ("--conf", "=".join(setting))),
            "local:///opt/detector/jobs/score.py", "--media.paths", "s3://bucket/photos",
        ],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    (pod,) = [body for body in made if body["kind"] == "Pod"]
    (container,) = pod["spec"]["containers"]
    assert (container["image"], container["args"][0]) == (IMAGE, "driver")
    assert container["args"][-3:] == [
        "local:///opt/detector/jobs/score.py",
        "--media.paths",
        "s3://bucket/photos",
    ]
    assert pod["spec"]["serviceAccountName"] == "detector"
    (properties,) = [
        body["data"]["spark.properties"] for body in made if "spark.properties" in body.get("data", {})
    ]
    given = dict(line.split("=", 1) for line in properties.splitlines() if line.startswith("spark."))
    assert given["spark.executor.resource.gpu.vendor"] == "nvidia.com"
    assert given["spark.task.resource.gpu.amount"] == "1"
    assert given["spark.executor.resource.gpu.discoveryScript"].replace("\\", "").endswith("find_gpus.sh")
