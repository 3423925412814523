"""A worker process: one model however many tasks, from an archive or by path."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from detector.media.filesystem import build_access
from detector.models import predictor as predictor_module
from detector.models.detections import Detections
from detector.models.package import pack_model
from detector.scoring import worker as worker_module
from detector.scoring.scorer import load_scorer
from detector.scoring.units import RESULT, UNIT
from detector.scoring.worker import build_worker
from detector.settings import MediaSettings, ModelSettings, RunSettings

from .conftest import DEMO_LABELS, DEMO_MODEL


class OneBox:
    """Finds one box of class 4 in every picture."""

    batch_size = 2

    def predict(self, inputs, image_hws):
        """Answer as a model would."""
        box = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
        return [Detections(box, np.array([0.9], np.float32), np.array([4], np.int32)) for _ in inputs]


class Archive:
    """What a broadcast looks like to the worker; counts how often it is read."""

    def __init__(self, content):
        self.content, self.reads = content, 0

    @property
    def value(self):
        """Give the packed model."""
        self.reads += 1
        return self.content


@pytest.fixture
def loads(monkeypatch, tmp_path):
    """Count the models that are loaded, each a made-up one; nothing is loaded yet."""
    paths = []
    monkeypatch.setattr(worker_module, "_loaded", {})
    monkeypatch.setattr(predictor_module, "start_tensorflow", lambda **_: None)
    monkeypatch.setattr(predictor_module, "load_predictor", lambda path, *_: paths.append(path) or OneBox())
    monkeypatch.setenv("TMPDIR", str(tmp_path / "machine"))
    (tmp_path / "machine").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    return paths


def make_worker(archive, **changes):
    """Give a worker for the demo's model."""
    scorer = load_scorer(ModelSettings(uri=str(DEMO_MODEL), labels=str(DEMO_LABELS), **changes))
    return build_worker(
        scorer,
        build_access([]),
        MediaSettings(max_pixels=10**6),
        RunSettings(decode_threads=2, queue_bytes=10**6),
        archive=archive,
        model_uri=scorer.settings.uri,
        gpu_task_cores=0,
    )


def score(worker, files):
    """Score files as one task; give the result rows."""
    empty = dict.fromkeys(UNIT.names) | {"media_kind": "image", "attempt": 0}
    units = [empty | {"score_id": str(n), "media_uri": str(file)} for n, file in enumerate(files)]
    schema = pa.schema([("units", pa.list_(pa.struct(to_arrow_schema(UNIT))))])
    batches = [pa.RecordBatch.from_pylist([{"units": units}], schema)]
    return [row for batch in worker.score(batches, to_arrow_schema(RESULT)) for row in batch.to_pylist()]


def test_a_process_loads_its_model_once(loads, photos):
    """Three tasks, one model, one reading of the broadcast; another process finds it unpacked."""
    files = sorted(photos(range(5)).iterdir())
    archive = Archive(pack_model(DEMO_MODEL))
    worker = make_worker(archive)
    for _ in range(3):
        assert [row["status"] for row in score(worker, files)] == ["scored"] * 5
    assert (len(loads), archive.reads) == (1, 1)
    worker_module._loaded.clear()  # what a second process on this machine begins with
    score(worker, files)
    assert (len(loads), archive.reads) == (2, 1)


def test_a_model_too_large_to_send_is_read_by_path(loads, photos):
    """Without an archive the model comes from its URI, into the same cache."""
    score(make_worker(None), photos(range(1)).iterdir())
    assert loads[0] != DEMO_MODEL
    assert pack_model(loads[0]) == pack_model(DEMO_MODEL)


def test_another_scorer_takes_the_model_s_place(loads, photos):
    """A process holds one model: a scorer of other settings loads anew and the first is let go."""
    files = list(photos(range(1)).iterdir())
    archive = Archive(pack_model(DEMO_MODEL))
    score(make_worker(archive), files)
    score(make_worker(archive, min_score=0.5), files)
    assert len(loads) == 2
    assert len(worker_module._loaded) == 1


def test_a_row_says_what_the_worker_knows(loads, photos):
    """Size, digest, one frame with its box and label; a failure has its reason and null frames."""
    folder = photos(range(1))
    (folder / "zz_empty.jpg").touch()
    scored, failed = sorted(
        score(make_worker(None), sorted(folder.iterdir())), key=lambda row: row["score_id"]
    )
    assert (scored["width_px"], scored["height_px"], scored["frames_scored"]) == (128, 96, 1)
    assert len(scored["content_sha256"]) == 64
    (detection,) = scored["frames"][0]["detections"]
    assert (detection["class_id"], detection["label"], detection["x_max"]) == (
        4,
        "triangle",
        pytest.approx(0.4),
    )
    assert (failed["status"], failed["error_class"], failed["frames"]) == ("failed", "EmptyMedia", None)
    assert (failed["frames_expected"], failed["frames_scored"], failed["detection_count"]) == (1, 0, 0)
