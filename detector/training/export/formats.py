"""Other forms of an exported model, beside its SavedModel: TFLite and ONNX.

Owns the two conversions. Both take the canvas: ``input_tensor`` uint8 [B, S, S, 3], a picture that the caller
has letterboxed (TFLite: B is 1), and give the contract's outputs with boxes in fractions of the canvas.
Scaling with antialiasing is an operation that neither format has. Refuses a graph that a converter can't
express, by its own words: the SavedModel stays what it is.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from detector.errors import TrainingError
from detector.training.export.suppression import suppress, suppress_one
from detector.training.families.family import Detector, Tensors
from detector.training.train_settings import ExportSettings

TFLITE, ONNX = "model.tflite", "model.onnx"
_OPSET = 18
_SHOWN = 500


def export_formats(detector: Detector, options: ExportSettings, package: Path) -> None:
    """Write ``model.tflite`` and ``model.onnx`` into a package, as ``options.formats`` says.

    TFLite's file keeps its weights as float16 with ``options.half``. Raises ``TrainingError`` where a
    converter refuses, or isn't installed.
    """
    if not options.formats:
        return
    with tempfile.TemporaryDirectory(prefix="detector-formats-") as folder:
        for form in options.formats:
            source = Path(folder) / form
            _save_canvas_model(detector, options, source, batch=1 if form == "tflite" else None)
            if form == "tflite":
                _write_tflite(source, package / TFLITE, half=options.half)
            else:
                _write_onnx(source, package / ONNX)


def _save_canvas_model(detector: Detector, options: ExportSettings, out: Path, *, batch: int | None) -> None:
    def detect(input_tensor: Tensors) -> dict[str, Tensors]:
        decoded = detector.decode(tf.cast(input_tensor, tf.float32))
        boxes, scores, classes, counts = (suppress if batch is None else suppress_one)(*decoded, options)
        return {
            "detection_boxes": boxes,
            "detection_scores": scores,
            "detection_classes": classes + 1,
            "num_detections": tf.cast(counts, tf.float32),
        }

    module = tf.Module()
    canvas = tf.TensorSpec([batch, detector.input_px, detector.input_px, 3], tf.uint8, name="input_tensor")
    module.detect = _freeze(tf.function(detect, input_signature=[canvas], autograph=False))
    tf.saved_model.save(module, str(out), signatures={"serving_default": module.detect})


def _freeze(detect: Any) -> Any:  # noqa: ANN401 (a tf.function, in and out)
    """Make constants of the weights: TFLite's files would hold variables that nobody has given values."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = detect.get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)
    names = sorted(traced.structured_outputs)

    def run(input_tensor: Tensors) -> dict[str, Tensors]:
        return dict(zip(names, frozen(input_tensor), strict=True))

    return tf.function(run, input_signature=traced.structured_input_signature[0], autograph=False)


def _write_tflite(source: Path, out: Path, *, half: bool) -> None:
    converter: Any = tf.lite.TFLiteConverter.from_saved_model(str(source))
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        content = converter.convert()
    except Exception as error:
        raise TrainingError(
            f"export.formats: TFLite can't express this model: {_shorten(str(error))}"
        ) from error
    out.write_bytes(content)


def _write_onnx(source: Path, out: Path) -> None:
    # In a process of its own: the converter takes TensorFlow's graph apart and leaves its state behind.
    words: Sequence[str] = (
        sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(source), "--output", str(out),
        "--opset", str(_OPSET), "--signature_def", "serving_default",
    )  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode or not out.is_file():
        raise TrainingError(f"export.formats: ONNX can't express this model: {_shorten(done.stderr)}")


def _shorten(text: str) -> str:
    return " ".join(text.split())[-_SHOWN:]
