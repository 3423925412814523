"""One model, four ways: the server, the batch job, ``mlflow models serve`` and ``spark_udf`` tell the same boxes."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import deltalake
import pytest
from pyspark.sql import functions as sf

from detector.models.registry import fetch_registered, import_mlflow
from detector.scoring.job import score
from detector.settings import ScoreSettings
from detector.training.experiment.experiments import open_experiment
from detector.training.experiment.registration import register_package
from detector.training.experiment.runs import start_run
from detector.training.train_settings import TrackingSettings

from .running import PROJECT

pytestmark = pytest.mark.spark
FIELDS = ("class_id", "label", "score", "y_min", "x_min", "y_max", "x_max")


@pytest.fixture(scope="module")
def served(server, pictures):
    """Give each picture's boxes as the server tells them, to compare within a float's last digits."""
    found = [server.ask_json("POST", "/detect", one)[1]["detections"] for one in pictures]
    return [
        [
            tuple(box[name] if name in FIELDS[:2] else pytest.approx(box[name], abs=1e-5) for name in FIELDS)
            for box in one
        ]
        for one in found
    ]


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """Give the folder of the demo's model as MLflow keeps it, downloaded from a registry."""
    folder = tmp_path_factory.mktemp("registered")
    experiment = open_experiment(TrackingSettings(), folder, "shapes")
    with start_run(experiment, "train") as run:
        version = register_package(run, PROJECT / "conf" / "demo", "shapes", metrics={}, data_digest="d")
    return fetch_registered(version.uri, experiment.registry_uri, folder).path.parents[1]


def list_rows(boxes):
    """List each box as the tuple of ``FIELDS``."""
    return [tuple(box[name] for name in FIELDS) for box in boxes]


def test_batch_job(spark, served, pictures, tmp_path):
    """The same bytes scored into tables."""
    (tmp_path / "photos").mkdir()
    for number, content in enumerate(pictures):
        (tmp_path / "photos" / f"{number}{('.jpg', '.png')[number % 2]}").write_bytes(content)
    model = {
        "uri": str(PROJECT / "conf/demo/saved_model"),
        "labels": str(PROJECT / "conf/demo/label_map.pbtxt"),
    }
    media, tables = {"paths": [str(tmp_path / "photos")]}, {"root": str(tmp_path / "tables")}
    score(spark, ScoreSettings(media=media, model=model, tables=tables))
    rows = deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).to_pyarrow_table().to_pylist()
    rows.sort(key=lambda row: row["media_uri"])
    assert [list_rows(row["frames"][0]["detections"]) for row in rows] == served


def test_spark_udf(spark, served, registered, pictures):
    """MLflow's UDF on a column of bytes."""
    detect = import_mlflow().pyfunc.spark_udf(spark, str(registered), env_manager="local")
    frame = spark.createDataFrame(
        [(number, one) for number, one in enumerate(pictures)], "number int, image binary"
    )
    rows = frame.select("number", detect(sf.struct("image")).alias("found")).orderBy("number").collect()
    assert [list_rows(row["found"]["detections"]) for row in rows] == served


def test_mlflow_models_serve(served, registered, pictures):
    """MLflow's own server, asked on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [
        "models",
        "serve",
        "-m",
        str(registered),
        "--env-manager",
        "local",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYTHONPATH": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words], env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_health(process, port)
        encoded = [[base64.b64encode(one).decode()] for one in pictures]
        body = json.dumps({"dataframe_split": {"columns": ["image"], "data": encoded}})
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        assert [list_rows(row["detections"]) for row in answer["predictions"]] == served
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait_for_health(process, port):
    """Wait until MLflow's server answers."""
    end = time.monotonic() + 180
    while True:
        assert process.poll() is None
        assert time.monotonic() < end
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
