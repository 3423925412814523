"""Export of a trained detector to the contract of the TF Object Detection API's SavedModels.

Owns the signature, whatever the family of the network. The exported model takes pictures of any size, one
size a batch, and needs no code of this project to run.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from detector.errors import SettingsError
from detector.training.export.letterboxing import letterbox_pictures, move_to_source
from detector.training.export.suppression import suppress
from detector.training.families.family import Detector
from detector.training.train_settings import ExportSettings

Tensors = Any  # TensorFlow ships no types
Detect = Callable[[Tensors], dict[str, Tensors]]


def build_signature(detector: Detector, options: ExportSettings) -> Detect:
    """Build the function from ``input_tensor`` uint8 [B, H, W, 3], RGB, to the contract's outputs.

    float32 detection_boxes [B, D, 4] as (y_min, x_min, y_max, x_max) in fractions of the picture,
    detection_scores and detection_classes [B, D], classes from 1, num_detections [B].
    """

    def detect(input_tensor: Tensors) -> dict[str, Tensors]:
        canvas_px = detector.input_px
        decoded = detector.decode(letterbox_pictures(input_tensor, canvas_px))
        boxes, scores, classes, counts = suppress(*decoded, options)
        return {
            "detection_boxes": move_to_source(boxes, tf.shape(input_tensor)[1:3], canvas_px),
            "detection_scores": scores,
            "detection_classes": classes + 1,
            "num_detections": tf.cast(counts, tf.float32),
        }

    return detect


def export_saved_model(detector: Detector, options: ExportSettings, out: Path) -> None:
    """Write the detector as a SavedModel folder with one signature, ``serving_default``.

    The model must be uncompiled (a compiled one would carry its optimizer's slots: ``ValueError``). With
    ``options.half`` its weights are kept as float16 and widened as they are used; ``SettingsError`` for the
    model garden's networks, which can't.
    """
    if getattr(detector.model, "compiled", False):
        raise ValueError(f"model {detector.model.name} is compiled: build it again and give it the weights")
    module, detect = tf.Module(), build_signature(detector, options)
    widened = _keep_halves(module, detector) if options.half else nullcontext
    if not options.half:
        # tf_keras would write each layer as a function of its own: ten times the seconds, five the bytes.
        module.model = detector.model if detector.keras is keras else list(detector.model.variables)

    def run(input_tensor: Tensors) -> dict[str, Tensors]:
        with widened():
            return detect(input_tensor)

    pictures = tf.TensorSpec([None, None, None, 3], tf.uint8, name="input_tensor")
    module.detect = tf.function(run, input_signature=[pictures], autograph=False)
    tf.saved_model.save(module, str(out), signatures={"serving_default": module.detect})


def _keep_halves(module: tf.Module, detector: Detector) -> Callable[[], AbstractContextManager[Any]]:
    """Give the module the float weights as float16; return the scope in which the model reads them."""
    if detector.keras is not keras:
        raise SettingsError("export.half: the model garden's networks keep float32 weights; leave it out")
    variables = [v for v in detector.model.variables if v.dtype == "float32"]
    module.halves = [tf.Variable(tf.cast(v.value, tf.float16), trainable=False) for v in variables]
    module.rest = [v.value for v in detector.model.variables if v.dtype != "float32"]

    def widen() -> AbstractContextManager[Any]:
        pairs = zip(variables, module.halves, strict=True)
        scope: AbstractContextManager[Any] = keras.StatelessScope(
            state_mapping=[(variable, tf.cast(half, tf.float32)) for variable, half in pairs]
        )
        return scope

    return widen
