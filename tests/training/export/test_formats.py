"""TFLite and ONNX: the same detections as the SavedModel on a canvas, from each format's own runtime."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from detector.errors import TrainingError
from detector.training.export import formats
from detector.training.export.formats import ONNX, TFLITE, export_formats
from detector.training.export.suppression import suppress
from detector.training.families.family import FamilyRequest
from detector.training.families.fcos import build_detector
from detector.training.train_settings import ExportSettings, NetworkSettings

SIDE = 64


@pytest.fixture(scope="module")
def detector():
    """Give an untrained network that finds something: its scores are spread by its random weights."""
    keras.utils.set_random_seed(1)
    settings = NetworkSettings(input_px=SIDE, levels=(3, 4), pyramid_width=16)
    detector = build_detector(FamilyRequest(settings, 2, np.zeros((0, 2), np.float32)))
    heads = detector.model.get_layer("heads")
    kernel = heads.get_layer("classes").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.5, kernel.shape))
    return detector


def detect(detector, canvas, options):
    """Give boxes, scores and classes of the network in memory."""
    boxes, scores, classes, _ = suppress(*detector.decode(tf.cast(canvas, tf.float32)), options)
    return {"detection_boxes": boxes, "detection_scores": scores, "detection_classes": classes + 1}


@pytest.fixture
def canvas():
    """Give one canvas of noise."""
    return np.random.default_rng(2).integers(0, 255, (1, SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*")
def test_tflite_finds_the_same(detector, canvas, tmp_path):
    """TFLite's interpreter, with nothing but its own operations, gives what the network gives."""
    options = ExportSettings(formats=["tflite"])
    export_formats(detector, options, tmp_path)
    interpreter = tf.lite.Interpreter(str(tmp_path / TFLITE))
    found = interpreter.get_signature_runner("serving_default")(input_tensor=canvas)
    wanted = detect(detector, canvas, options)
    assert found["num_detections"][0] > 3
    for name, values in wanted.items():
        assert found[name] == pytest.approx(values.numpy(), abs=1e-3), name


def test_onnx_finds_the_same(detector, canvas, tmp_path):
    """ONNX Runtime gives what the network gives, for a batch of two."""
    options = ExportSettings(formats=["onnx"])
    export_formats(detector, options, tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / ONNX))
    names = [output.name for output in session.get_outputs()]
    two = np.concatenate([canvas, 255 - canvas])
    found = dict(zip(names, session.run(None, {session.get_inputs()[0].name: two}), strict=True))
    for name, values in detect(detector, two, options).items():
        assert found[name] == pytest.approx(values.numpy(), abs=1e-3), name


def test_converter_that_refuses_is_quoted(detector, tmp_path, monkeypatch):
    """A converter's failure is an error with its own last words, and no file is left."""
    monkeypatch.setattr(formats, "_OPSET", 3)
    with pytest.raises(TrainingError, match=r"ONNX can't express this model: .*opset"):
        export_formats(detector, ExportSettings(formats=["onnx"]), tmp_path)
    assert not (tmp_path / ONNX).exists()
