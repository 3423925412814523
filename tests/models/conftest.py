"""Tiny real models of every kind, all of the same fake detector, and pictures that it can tell apart.

The detector finds, for each colour channel, the centre of its light: class 1 is red, 2 green, 3 blue. A
mistake in orientation, colour order or batch order moves a box, a score or a class.
"""

from functools import cache

import numpy as np
import pytest

SIZE = 48  # what the model garden's fake resizes to


@pytest.fixture(scope="session")
def pictures():
    """Give four uint8 [40, 60, 3] pictures with a red, a green and a blue spot at places of their own."""
    random = np.random.default_rng(7)
    pictures = []
    for _ in range(4):
        picture = np.zeros((40, 60, 3), np.uint8)
        for channel, brightness in enumerate(random.permutation([250, 160, 90])):
            y, x = random.integers(0, 30), random.integers(0, 50)
            picture[y : y + 10, x : x + 10, channel] = brightness
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="session")
def expect():
    """Give the function that computes in NumPy what the fake detector finds in a picture, best first."""

    def compute(picture):
        height, width = picture.shape[:2]
        light = picture.astype(np.float64)
        y = (light.sum(axis=1) * ((np.arange(height) + 0.5) / height)[:, None]).sum(axis=0)
        x = (light.sum(axis=0) * ((np.arange(width) + 0.5) / width)[:, None]).sum(axis=0)
        total = light.sum(axis=(0, 1))
        y, x, scores = y / total, x / total, total / 25_500
        order = np.argsort(-scores)
        boxes = np.stack([y - 0.1, x - 0.2, y + 0.3, x + 0.4], axis=-1)
        return boxes[order], scores[order], order + 1

    return compute


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Give the function that builds the model of a kind, once, and returns its path."""

    @cache
    def build_kind(kind):
        return BUILDERS[kind](tmp_path_factory.mktemp("any") / "model")

    return build_kind


def find_light(images):
    """Compute boxes_yxyx_norm [B, 5, 4], scores [B, 5] and classes [B, 5] of float images; two rows pad."""
    import tensorflow as tf

    shape = tf.cast(tf.shape(images), tf.float32)
    rows, columns = (tf.range(shape[1]) + 0.5) / shape[1], (tf.range(shape[2]) + 0.5) / shape[2]
    total = tf.reduce_sum(images, axis=[1, 2])
    y = tf.einsum("bhwc,h->bc", images, rows) / total
    x = tf.einsum("bhwc,w->bc", images, columns) / total
    boxes = tf.stack([y - 0.1, x - 0.2, y + 0.3, x + 0.4], axis=-1)
    scores = total / 25_500
    classes = tf.ones_like(scores) * tf.constant([1.0, 2.0, 3.0])
    padding = [[0, 0], [0, 2]]
    return tf.pad(boxes, [*padding, [0, 0]]), tf.pad(scores, padding), tf.pad(classes, padding)


def name_as_api(images):
    """Name the outputs as the TF Object Detection API does, with one that nobody needs."""
    import tensorflow as tf

    boxes, scores, classes = find_light(tf.cast(images, tf.float32))
    count = tf.fill([tf.shape(boxes)[0]], 3.0)
    named = {"boxes": boxes, "scores": scores, "classes": classes}
    return {f"detection_{name}": values for name, values in named.items()} | {
        "num_detections": count,
        "raw_detection_boxes": boxes,
    }


def save_tf2(folder, detect, shape, dtype):
    """Save a TF2 SavedModel with one variable, whose input is ``input_tensor``."""
    import tensorflow as tf

    module = tf.Module()
    module.one = tf.Variable(1.0)

    def scale(input_tensor):
        outputs = detect(input_tensor)
        name = "detection_boxes" if "detection_boxes" in outputs else next(iter(outputs))
        return outputs | {name: outputs[name] * module.one}

    spec = tf.TensorSpec(shape, dtype, name="input_tensor")
    tf.saved_model.save(module, str(folder), signatures=tf.function(scale, input_signature=[spec]))
    return folder


def decode_all(strings):
    """Decode strings to one batch, as exports for encoded images do."""
    import tensorflow as tf

    def decode(string):
        return tf.io.decode_image(string, channels=3, expand_animations=False)

    return tf.map_fn(decode, strings, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))


def read_examples(strings):
    """Take the encoded images out of tf.train.Example messages, one by one inside a loop of the graph."""
    import tensorflow as tf

    def read(string):
        features = {
            "image/encoded": tf.io.FixedLenFeature((), tf.string),
            "image/format": tf.io.FixedLenFeature((), tf.string),
            "image/height": tf.io.FixedLenFeature((), tf.int64),
        }
        return tf.io.parse_single_example(string, features)["image/encoded"]

    return tf.map_fn(read, strings, fn_output_signature=tf.string)


def name_as_garden(images, *, in_pixels):
    """Name and type the outputs as the TF model garden does, in pixels of the resized image if asked."""
    import tensorflow as tf

    boxes, scores, classes = find_light(tf.cast(images, tf.float32))
    batch = tf.shape(boxes)[0]
    outputs = {
        "detection_boxes": boxes,
        "detection_scores": scores,
        "detection_classes": tf.cast(classes, tf.int32),
        "num_detections": tf.fill([batch], 3),
    }
    if not in_pixels:
        return outputs
    original = tf.cast(tf.shape(images)[1:3], tf.float32)
    scale = tf.tile(SIZE / tf.reduce_max(original)[None], [2])
    info = tf.stack([original, tf.constant([SIZE, SIZE], tf.float32), scale, tf.zeros(2)])
    outputs["image_info"] = tf.tile(info[None], [batch, 1, 1])
    return outputs | {"detection_boxes": boxes * tf.tile(original * scale, [2])}


def build_keras(folder):
    """Export a functional Keras model: boxes in pixels, labels from 0, padded with -1."""
    import keras
    import tensorflow as tf

    class Find(keras.Layer):
        def call(self, images):
            boxes, scores, classes = find_light(images)
            size = tf.cast(tf.tile(tf.shape(images)[1:3], [2]), tf.float32)
            pad = scores <= 0
            return (
                boxes * size,
                tf.where(pad, -1.0, scores),
                tf.where(pad, -1, tf.cast(classes, tf.int32) - 1),
            )

        def compute_output_spec(self, images):
            return tuple(
                keras.KerasTensor((None, 5, *last), dtype)
                for last, dtype in (((4,), "float32"), ((), "float32"), ((), "int32"))
            )

    images = keras.Input((None, None, 3), name="images")
    boxes, confidence, labels = Find()(images)
    model = keras.Model(images, {"boxes": boxes, "confidence": confidence, "labels": labels})
    model.export(str(folder), verbose=False)
    return folder


def build_tf1_graph():
    """Build a TF1 graph of the detector with a node for each output of the API."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        outputs = {name: tf.identity(values, name=name) for name, values in name_as_api(images).items()}
    return graph, images, outputs


def build_tf1_saved_model(folder):
    """Save a TF1 SavedModel, whose input is ``inputs``."""
    import tensorflow as tf

    graph, images, outputs = build_tf1_graph()
    with tf.compat.v1.Session(graph=graph) as session:
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"inputs": images}, outputs)
    return folder


def build_frozen_graph(folder):
    """Write a TF1 frozen graph as an export folder holds it."""
    folder.mkdir()
    graph, _, _ = build_tf1_graph()
    (folder / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return folder / "frozen_inference_graph.pb"


def build_classifier(folder):
    """Save a model with scores and classes, but no boxes."""
    return save_tf2(folder, classify, [None, None, None, 3], "float32")


def classify(images):
    """Give the scores and classes of whole images."""
    import tensorflow as tf

    scores = tf.reduce_mean(images, axis=[1, 2])
    return {"scores": scores, "classes": tf.argsort(scores)}


ANY = [None, None, None, 3]
BUILDERS = {
    "batch_one": lambda folder: save_tf2(folder, name_as_api, [1, None, None, 3], "uint8"),
    "dynamic": lambda folder: save_tf2(folder, name_as_api, ANY, "uint8"),
    "fixed_size": lambda folder: save_tf2(folder, name_as_api, [None, 40, 60, 3], "uint8"),
    "float": lambda folder: save_tf2(folder, name_as_api, ANY, "float32"),
    "encoded": lambda folder: save_tf2(folder, lambda s: name_as_api(decode_all(s)), [None], "string"),
    "encoded_scalar": lambda folder: save_tf2(
        folder, lambda s: name_as_api(decode_all(s[None])), [], "string"
    ),
    "tf_example": lambda folder: save_tf2(
        folder, lambda s: name_as_api(decode_all(read_examples(s))), [None], "string"
    ),
    "tf1_saved_model": build_tf1_saved_model,
    "frozen_graph": build_frozen_graph,
    "garden_pixels": lambda folder: save_tf2(
        folder, lambda i: name_as_garden(i, in_pixels=True), ANY, "uint8"
    ),
    "garden_normalised": lambda folder: save_tf2(
        folder, lambda i: name_as_garden(i, in_pixels=False), ANY, "uint8"
    ),
    "keras": build_keras,
    "classifier": build_classifier,
}
