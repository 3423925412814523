"""What the TensorFlow model garden's families share: its import, its Keras, its pixels, its padding.

Owns the bridge to ``official`` (tf-models-official) and the Keras that it is made of, ``tf_keras``; both live
in one process with Keras 3 as long as TF_USE_LEGACY_KERAS is unset, which would turn Keras itself into
``tf_keras``. Refuses to start where either isn't so. Modules that import this one are imported only for their
architecture: the garden is an extra.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from detector.errors import SettingsError
from detector.training.families.backbone_catalogue import DEVIATION_RGB, MEAN_RGB
from detector.training.train_settings import NetworkSettings

if os.environ.get("TF_USE_LEGACY_KERAS", "0").lower() in {"1", "true"}:
    raise SettingsError(
        "TF_USE_LEGACY_KERAS is set, which swaps Keras 3 for tf_keras everywhere: unset it; the model garden "
        "finds tf_keras by itself"
    )
try:
    import tf_keras
    from official.modeling import hyperparams  # noqa: F401 (is it there?)
except ModuleNotFoundError as error:
    raise SettingsError(
        f"model.architecture: the model garden isn't installed ({error.name} is missing): install the extra "
        "'garden' (tf-keras, tf-models-official), or take fcos or retinanet"
    ) from error

Tensors = Any  # TensorFlow ships no types
Network = Any  # nor does tf_keras

NORM_MOMENTUM = 0.9  # as shipped, .99 to .997, few steps leave statistics of the first ones: AP50 .015


@contextmanager
def keras_of_garden() -> Iterator[ModuleType]:
    """Give ``tf_keras``, with the precision policy that Keras 3 has now; layers made inside keep it.

    Each Keras has a policy of its own; ``fit.precision`` sets Keras 3's.
    """
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(keras.config.dtype_policy().name)
    try:
        yield tf_keras
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


@contextmanager
def fixed_statistics(model: Network) -> Iterator[None]:
    """Let every BatchNorm of a model use its running statistics and leave them, in calls traced inside."""
    # tf_keras runs a layer that isn't trainable in inference mode, whatever the call says.
    norms = [layer for layer in model._flatten_layers() if _is_norm(layer) and layer.trainable]  # noqa: SLF001
    try:
        for layer in norms:
            layer.trainable = False
        yield
    finally:
        for layer in norms:
            layer.trainable = True


def _is_norm(layer: Network) -> bool:
    return isinstance(
        layer, tf_keras.layers.BatchNormalization | tf_keras.layers.experimental.SyncBatchNormalization
    )


def normalise_pixels(pixels: Tensors) -> Tensors:
    """Turn RGB pixels 0..255, float32 [B, S, S, 3], into what the garden's ImageNet checkpoints know."""
    return (pixels / 255.0 - MEAN_RGB) / DEVIATION_RGB


def measure_canvas(pixels: Tensors) -> Tensors:
    """Give the size of each picture of a batch as the garden wants it: float32 [B, 2], (height, width)."""
    # The whole canvas: its border is part of the picture, as in training.
    return tf.tile(tf.cast(tf.shape(pixels)[1:3], tf.float32)[None], [tf.shape(pixels)[0], 1])


def pad_truth(boxes_yxyx_norm: Tensors, class_ids: Tensors, canvas_px: int) -> tuple[Tensors, Tensors]:
    """Give boxes in pixels of the canvas, float32 [B, M, 4], and class_ids [B, M]; padding is -1, last."""
    # Objects first: the garden counts them, and takes so many from the front.
    order = tf.argsort(tf.cast(class_ids <= 0, tf.int32), axis=1, stable=True)
    boxes_yxyx_norm, class_ids = (
        tf.gather(each, order, batch_dims=1) for each in (boxes_yxyx_norm, class_ids)
    )
    is_object = class_ids > 0
    boxes = tf.where(is_object[..., None], tf.cast(boxes_yxyx_norm, tf.float32) * canvas_px, -1.0)
    return boxes, tf.where(is_object, tf.cast(class_ids, tf.int32), -1)


def fit_rows(values: Tensors, count: int, padding: float) -> Tensors:
    """Cut or pad [B, M, ...] to ``count`` rows a picture."""
    missing = tf.maximum(count - tf.shape(values)[1], 0)
    paddings = [[0, 0], [0, missing]] + [[0, 0]] * (len(values.shape) - 2)
    fitted = tf.pad(values, paddings, constant_values=padding)[:, :count]
    return tf.ensure_shape(fitted, [values.shape[0], count, *values.shape[2:]])


def spread_scores(scores: Tensors, class_ids: Tensors, class_count: int) -> Tensors:
    """Give each row's one score, [B, L], to its class, from 1, and 0 to the others: float32 [B, L, C]."""
    return scores[..., None] * tf.one_hot(tf.cast(class_ids, tf.int32) - 1, class_count)


def cast_outputs(outputs: Mapping[str, Tensors]) -> dict[str, Tensors]:
    """Give nested outputs in float32, whatever the precision of the network."""
    cast: dict[str, Tensors] = tf.nest.map_structure(
        lambda tensor: tf.cast(tensor, tf.float32), dict(outputs)
    )
    return cast


def keep_best_pairs(
    boxes_yxyx_px: Tensors, scores: Tensors, *, canvas_px: int, pairs: int
) -> tuple[Tensors, Tensors]:
    """Turn boxes of their own for each class into rows of one box with one score.

    Boxes float32 [B, K, C, 4] in pixels, scores [B, K, C]. Returns boxes_yxyx_norm [B, L, 4] and scores
    [B, L, C], 0 but for the row's class; L is the ``pairs`` (box, class) of highest score, or all. A box
    without area, which is what missing proposals become, scores 0.
    """
    _, count, classes, _ = boxes_yxyx_px.shape
    boxes = tf.reshape(boxes_yxyx_px, [-1, count * classes, 4])
    has_area = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
    flat = tf.where(has_area, tf.reshape(scores, [-1, count * classes]), 0.0)
    best, places = tf.math.top_k(flat, k=min(pairs, count * classes))
    rows = tf.gather(boxes, places, batch_dims=1)
    return rows / canvas_px, best[..., None] * tf.one_hot(places % classes, classes)


def refuse_settings(settings: NetworkSettings, names: Mapping[str, str]) -> None:
    """Raise ``SettingsError`` for a setting that is given although the family can't follow it.

    ``names`` says why for each: fields of ``NetworkSettings``, or ``anchors``.
    """
    for name, why in names.items():
        value = getattr(settings, name)
        is_given = (value.sizes or value.aspect_ratios) if name == "anchors" else value is not None
        if is_given:
            raise SettingsError(f"model.{name}: {settings.architecture} {why}; leave it out")
