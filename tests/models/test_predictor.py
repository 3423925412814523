"""The predictor: the same detections from every kind of model, whatever the batch."""

import json

import numpy as np
import pytest

from detector.errors import ModelError, PredictionError
from detector.models.inputs import BatchStacker
from detector.models.predictor import load_predictor
from detector.models.signature import ModelInput, locate_model, read_signature
from detector.settings import ModelSettings

KINDS = [
    "batch_one", "dynamic", "fixed_size", "float", "encoded", "encoded_scalar", "tf_example",
    "tf1_saved_model", "frozen_graph", "garden_pixels", "garden_normalised", "keras",
]  # fmt: skip


def load(path, **settings):
    """Load a model as a worker does."""
    located = locate_model(path)
    return load_predictor(located, read_signature(located), ModelSettings(uri=str(path), **settings))


def predict_all(predictor, pictures):
    """Predict as the pipeline does: batches of at most batch_size."""
    found = []
    for start in range(0, len(pictures), predictor.batch_size):
        batch = pictures[start : start + predictor.batch_size]
        prepared = [predictor.prepare(picture) for picture in batch]
        found += predictor.predict(prepared, [picture.shape[:2] for picture in batch])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_the_same(build, pictures, expect, kind):
    """Boxes, scores and classes are those of the pictures, in their order; padding is gone."""
    for picture, found in zip(pictures, predict_all(load(build(kind), batch_size=3), pictures), strict=True):
        boxes, scores, class_ids = expect(picture)
        np.testing.assert_allclose(found.boxes_yxyx_norm, boxes, atol=1e-5)
        np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
        assert found.class_ids.tolist() == class_ids.tolist()
        assert [values.dtype for values in vars(found).values()] == [np.float32, np.float32, np.int32]


@pytest.mark.parametrize(
    ("kind", "batch_size", "canvas_hw"),
    [("batch_one", 1, None), ("dynamic", 8, None), ("fixed_size", 8, (40, 60)), ("encoded_scalar", 1, None)],
)
def test_shape_of_the_calls_is_the_models(build, kind, batch_size, canvas_hw):
    """A fixed batch and a fixed size win over the settings' defaults."""
    predictor = load(build(kind))
    assert (predictor.batch_size, predictor.canvas_hw) == (batch_size, canvas_hw)


def test_canvas_is_the_settings_where_the_model_takes_any(build):
    """model.input_hw is what images are brought to."""
    assert load(build("dynamic"), input_hw=(64, 96)).canvas_hw == (64, 96)


def test_contradicting_size_is_refused(build):
    """model.input_hw can't overrule a fixed size."""
    with pytest.raises(ModelError, match=r"\(64, 96\).*\(40, 60\)"):
        load(build("fixed_size"), input_hw=(64, 96))


def test_pixel_range_reaches_a_float_model(build, pictures, expect):
    """Fractions instead of bytes make the fake's scores 255 times smaller."""
    found = predict_all(load(build("float"), pixel_range="0..1", min_score=0), pictures[:1])[0]
    np.testing.assert_allclose(found.scores * 255, expect(pictures[0])[1], rtol=1e-5)


def test_thresholds_apply(build, pictures, expect):
    """min_score drops the weak, max_detections keeps the best."""
    scores = expect(pictures[0])[1]
    weak = predict_all(load(build("dynamic"), min_score=float(scores[1] - 0.01)), pictures[:1])[0]
    best = predict_all(load(build("dynamic"), max_detections=1), pictures[:1])[0]
    assert (len(weak.scores), len(best.scores)) == (2, 1)


def test_image_without_a_number_is_an_error(build, pictures):
    """The fake divides by zero on black: that picture fails by name, its neighbour alone doesn't."""
    predictor = load(build("dynamic"))
    with pytest.raises(PredictionError, match="NaN"):
        predict_all(predictor, [np.zeros_like(pictures[0])])
    assert len(predict_all(predictor, pictures[:1])[0].scores) == 3


def test_failing_model_is_a_prediction_error(build):
    """What TensorFlow raises becomes this image's error."""
    with pytest.raises(PredictionError, match="the model failed"):
        load(build("encoded")).predict([b"no image"], [(1, 1)])


def test_unloadable_model_is_refused(build, tmp_path):
    """Damaged variables are found at loading, as a model's error."""
    import shutil

    shutil.copytree(build("dynamic"), tmp_path / "model")
    (tmp_path / "model" / "variables" / "variables.index").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="can't load"):
        load(tmp_path / "model")


@pytest.mark.data
@pytest.mark.parametrize("form", ["saved_model", "frozen_inference_graph.pb"])
def test_real_detector_agrees_with_a_plain_loop(data_pack, form):
    """Both forms of a real model give what calling it plainly gives, photo by photo."""
    import cv2
    import tensorflow as tf

    folder = data_pack / "models" / "yolo_fastest_xl_coco"
    plain = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    photos = sorted((data_pack / "datasets" / "coco128_train32").rglob("*.jpg"))[:6]
    images = [cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2RGB) for photo in photos]
    predictor = load(folder / form, batch_size=1)
    assert len(images) == 6
    for image, found in zip(images, predict_all(predictor, images), strict=True):
        outputs = {name: tensor.numpy()[0] for name, tensor in plain(tf.constant(image[None])).items()}
        kept = outputs["detection_scores"] >= 0.05
        np.testing.assert_allclose(found.boxes_yxyx_norm, outputs["detection_boxes"][kept], atol=1e-3)
        np.testing.assert_allclose(found.scores, outputs["detection_scores"][kept], atol=1e-3)
        assert found.class_ids.tolist() == outputs["detection_classes"][kept].astype(int).tolist()


def test_start_hides_gpus_and_happens_once():
    """A task without a GPU sees none; a second start in the process changes nothing."""
    import subprocess
    import sys

    code = """
import json, os
os.environ["CUDA_VISIBLE_DEVICES"] = "0"
from detector.models.predictor import start_tensorflow
start_tensorflow(threads=3, gpu=None)
start_tensorflow(threads=1, gpu=None)
import tensorflow as tf
print(json.dumps([os.environ["CUDA_VISIBLE_DEVICES"], tf.config.threading.get_intra_op_parallelism_threads()]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == ["-1", 3]


def test_batch_memory_is_kept_and_aligned():
    """A smaller batch after a larger one lies in the same memory, on the border that TensorFlow wants."""
    stacker = BatchStacker(ModelInput("input", "image", "uint8", None, None, None), "0..255")
    images = [np.full((5, 7, 3), value, np.uint8) for value in (1, 2, 3)]
    large = stacker.stack(images, 4)
    assert large[:, 0, 0, 0].tolist() == [1, 2, 3, 3]
    small = stacker.stack(images[1:], 2)
    assert small[:, 0, 0, 0].tolist() == [2, 3]
    assert small.ctypes.data == large.ctypes.data
    assert small.ctypes.data % 64 == 0


def test_floats_are_scaled_as_asked():
    """-1..1 maps 0 to -1 and 255 to 1."""
    stacker = BatchStacker(ModelInput("input", "image", "float32", None, None, None), "-1..1")
    batch = stacker.stack([np.array([[[0, 51, 255]]], np.uint8)], 1)
    np.testing.assert_allclose(batch[0, 0, 0], [-1, -0.6, 1], atol=1e-6)
