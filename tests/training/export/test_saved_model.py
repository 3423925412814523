"""The exported SavedModel: its signature, its letterbox, and boxes that come back to the picture."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.boxes import compute_letterbox
from detector.errors import TrainingError
from detector.training.export.letterboxing import BORDER, _measure_letterbox, letterbox_pictures
from detector.training.export.saved_model import export_saved_model
from detector.training.export.suppression import suppress
from detector.training.export.verification import check_export
from detector.training.train_settings import ExportSettings

CANVAS_PX = 64


class FixedDetector:
    """Finds one box of class 2, the middle half of the canvas, whatever it sees."""

    keras = keras
    input_px = CANVAS_PX
    class_count = 2

    def __init__(self):
        pixels = keras.Input((CANVAS_PX, CANVAS_PX, 3))
        dense = keras.layers.Dense(1, kernel_initializer="ones")
        self.model = keras.Model(pixels, dense(keras.layers.GlobalAveragePooling2D()(pixels)))

    def decode(self, pixels):
        """Give the one box, and a row without any; its score depends on the weights."""
        batch = tf.shape(pixels)[0]
        sure = tf.clip_by_value(self.model(pixels), 0.9, 0.9)
        boxes = tf.tile(tf.constant([[[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.1, 0.1]]]), [batch, 1, 1])
        scores = tf.concat([tf.zeros_like(sure), sure], axis=-1)[:, None]
        return boxes, tf.concat([scores, tf.zeros_like(scores)], axis=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Give the folder of an export whose network does nothing."""
    folder = tmp_path_factory.mktemp("export") / "saved_model"
    export_saved_model(FixedDetector(), ExportSettings(), folder)
    return folder


@pytest.fixture(scope="module")
def detect(exported):
    """Give the signature of the loaded export."""
    loaded = tf.saved_model.load(str(exported))
    signature = loaded.signatures["serving_default"]
    signature.owner = loaded  # the signature alone does not keep its variables alive
    return signature


def test_signature_is_the_contract(detect):
    """The signature takes uint8 pictures of any batch and size and gives the four float32 outputs."""
    _, inputs = detect.structured_input_signature
    assert list(inputs) == ["input_tensor"]
    assert inputs["input_tensor"].shape.as_list() == [None, None, None, 3]
    assert inputs["input_tensor"].dtype == tf.uint8
    outputs = detect(input_tensor=tf.zeros([3, 40, 50, 3], tf.uint8))
    assert {name: (value.shape.as_list(), value.dtype) for name, value in outputs.items()} == {
        "detection_boxes": ([3, 100, 4], tf.float32),
        "detection_scores": ([3, 100], tf.float32),
        "detection_classes": ([3, 100], tf.float32),
        "num_detections": ([3], tf.float32),
    }


def test_classes_count_from_one(detect):
    """The second score column comes out as class 2, once."""
    outputs = detect(input_tensor=tf.zeros([1, 40, 50, 3], tf.uint8))
    assert outputs["num_detections"].numpy().tolist() == [1]
    assert outputs["detection_classes"][0, 0].numpy() == 2


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (64, 64, [0.25, 0.25, 0.75, 0.75]),
        (100, 200, [0.0, 0.25, 1.0, 0.75]),  # content 32 of 64 rows: the middle half is all of it
        (200, 100, [0.25, 0.0, 0.75, 1.0]),
    ],
)
def test_boxes_refer_to_the_picture(detect, height, width, expected):
    """The middle half of the canvas is another part of a picture that is not square."""
    outputs = detect(input_tensor=tf.zeros([1, height, width, 3], tf.uint8))
    assert outputs["detection_boxes"][0, 0].numpy() == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([64, 96, 97]))
def test_letterbox_is_the_one_of_boxes(height, width, canvas_px):
    """TensorFlow's geometry is the NumPy geometry, to the pixel."""
    expected = compute_letterbox((height, width), (canvas_px, canvas_px))
    content_hw, top_left = _measure_letterbox(tf.constant([height, width]), canvas_px)
    assert tuple(content_hw.numpy()) == expected.content_hw
    assert tuple(top_left.numpy()) == (expected.top, expected.left)


def test_letterbox_border_is_mid_grey():
    """A white picture of two to one fills the middle rows; the rest is the border."""
    canvas = letterbox_pictures(np.full((1, 100, 200, 3), 255, np.uint8), 64)[0].numpy()
    assert canvas[16:48] == pytest.approx(255.0)
    assert (canvas[:16] == BORDER).all()
    assert (canvas[48:] == BORDER).all()


def test_compiled_model_is_refused(tmp_path):
    """A compiled model, whose optimizer's slots would be saved too, is an error."""
    detector = FixedDetector()
    detector.model.compile(loss="mse")
    with pytest.raises(ValueError, match="compiled"):
        export_saved_model(detector, ExportSettings(), tmp_path)


def test_export_agrees_with_its_network(exported):
    """The network in memory and the files say the same; another network's files are refused."""
    pictures = [np.full((40, 60, 3), value, np.uint8) for value in (0, 200)]
    agreement = check_export(FixedDetector(), ExportSettings(), exported.parent, pictures)
    assert (agreement.pictures, agreement.detections) == (2, 2)
    other = FixedDetector()
    other.decode = lambda pixels: tuple(part * 0.5 for part in FixedDetector.decode(other, pixels))
    with pytest.raises(TrainingError, match="differs from the network"):
        check_export(other, ExportSettings(), exported.parent, pictures)


def test_halves_keep_the_result_in_half_the_bytes(tmp_path):
    """float16 weights are widened on use: the same boxes, and no float32 copy on disk."""
    pixels = keras.Input((CANVAS_PX, CANVAS_PX, 3))
    detector = FixedDetector()
    wide = keras.layers.Dense(256)(keras.layers.Dense(256)(keras.layers.GlobalAveragePooling2D()(pixels)))
    detector.model = keras.Model(pixels, keras.layers.Dense(1)(wide))
    sizes = {}
    for half in (False, True):
        options, folder = ExportSettings(half=half), tmp_path / str(half) / "saved_model"
        export_saved_model(detector, options, folder)
        assert check_export(detector, options, folder.parent, [np.zeros((9, 9, 3), np.uint8)]).detections == 1
        sizes[half] = sum(file.stat().st_size for file in (folder / "variables").iterdir())
    assert sizes[True] < 0.6 * sizes[False]


def test_suppression_looks_at_the_best_rows_of_many():
    """Of 1,500 rows, the best one is found wherever it stands, and its copy goes."""
    boxes = np.tile(np.array([0.9, 0.9, 0.95, 0.95], np.float32), (1, 1500, 1))
    scores = np.zeros((1, 1500, 2), np.float32)
    boxes[0, [1400, 1401]] = [0.1, 0.1, 0.3, 0.3]
    scores[0, 1400, 1], scores[0, 1401, 1] = 0.9, 0.8
    found, kept, classes, counts = (part.numpy() for part in suppress(boxes, scores, ExportSettings()))
    assert counts.tolist() == [1]
    assert found[0, 0] == pytest.approx([0.1, 0.1, 0.3, 0.3])
    assert (kept[0, 0], classes[0, 0]) == (np.float32(0.9), 1)
