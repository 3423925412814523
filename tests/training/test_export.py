"""The exported SavedModel: its signature, its letterbox, and boxes that come back to the picture."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.boxes import compute_letterbox
from detector.labels import read_label_map
from detector.training.export import (
    _measure_letterbox,
    export_saved_model,
    letterbox_pictures,
    write_label_map,
)

CANVAS_PX = 64


def decode_fixed(outputs):
    """Find one box of class 2, the middle half of the canvas, whatever the outputs are."""
    batch = tf.shape(outputs)[0]
    boxes = tf.tile(tf.constant([[[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.1, 0.1]]]), [batch, 1, 1])
    scores = tf.tile(tf.constant([[[0.0, 0.9], [0.0, 0.0]]]), [batch, 1, 1])
    return boxes, scores


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Give the folder of an export whose network does nothing."""
    folder = tmp_path_factory.mktemp("export") / "saved_model"
    pixels = keras.Input((CANVAS_PX, CANVAS_PX, 3))
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(pixels))
    export_saved_model(model, decode_fixed, canvas_px=CANVAS_PX, out=folder)
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
    """A white picture of two to one fills the middle rows; the rest is 0."""
    canvas = letterbox_pictures(np.full((1, 100, 200, 3), 255, np.uint8), 64)[0].numpy()
    assert canvas[16:48] == pytest.approx(1.0)
    assert not canvas[:16].any()
    assert not canvas[48:].any()


def test_compiled_model_is_refused(tmp_path):
    """A compiled model, whose optimizer's slots would be saved too, is an error."""
    pixels = keras.Input((CANVAS_PX, CANVAS_PX, 3))
    model = keras.Model(pixels, pixels)
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="compiled"):
        export_saved_model(model, decode_fixed, canvas_px=CANVAS_PX, out=tmp_path)


def test_label_map_is_read_back(tmp_path):
    """Names with quotes and other scripts come back from the pbtxt."""
    names = {1: "circle", 3: 'a "star"\\', 4: "Dreieck · 三角"}
    write_label_map(names, tmp_path / "label_map.pbtxt")
    assert read_label_map(tmp_path / "label_map.pbtxt").names == names
