"""TensorFlow at work: one loaded model that turns batches of images into detections.

Owns every call of TensorFlow while scoring; it is imported inside functions, so that this module can be
imported where it isn't wanted. A process starts TensorFlow once and holds one model at a time.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import InstallationError, ModelError, PredictionError
from detector.models.detections import Detections
from detector.models.encoding import Pixels, prepare_image
from detector.models.guard import check_model
from detector.models.inputs import (
    BatchStacker,
    choose_batch_size,
    choose_canvas_hw,
    choose_padded_size,
)
from detector.models.outputs import OutputDecoder
from detector.models.signature import ModelSignature
from detector.settings import ModelSettings

_Run = Callable[[Any], Mapping[str, Any]]
_started = False


def start_tensorflow(*, threads: int, gpu: str | None, calls: int = 1) -> None:
    """Start this process's TensorFlow on one GPU, or on the CPU alone with all GPUs hidden.

    ``gpu`` is an address as Spark assigns it: an index as nvidia-smi counts, or a UUID. ``threads``: CPU
    threads of one operation. ``calls``: how many calls of a model on the CPU may run at once. Later calls
    change nothing, nor does the first one
    change the threads of a TensorFlow that has computed before: a process keeps what it began with. Raises
    ``InstallationError`` when TensorFlow doesn't see the GPU.
    """
    global _started  # noqa: PLW0603 (TensorFlow itself is one per process)
    if _started:
        return
    # Without a GPU, TensorFlow reports as an error that it found none.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if gpu is None else "2")
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # nvidia-smi's order, which Spark's addresses follow
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1" if gpu is None else gpu
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if gpu is not None and not found:
        raise InstallationError(
            f"the task has GPU {gpu}, but TensorFlow sees none: install this project with its extra gpu "
            "(CUDA libraries) on the workers, or give tasks no GPU"
        )
    # Where training or a notebook has used TensorFlow before, it keeps the threads that it began with.
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(calls if gpu is None else 2)
        for device in found:
            tf.config.experimental.set_memory_growth(device, True)
    _started = True


def load_predictor(path: Path, signature: ModelSignature, settings: ModelSettings) -> "Predictor":
    """Load the model at ``path`` (SavedModel folder or frozen graph file), whose signature was read before.

    Its files are checked first, wherever they come from: nothing is loaded that ``check_model`` refuses.
    Raises ``ModelError`` when it is refused, TensorFlow can't load it or a setting contradicts it.
    """
    check_model(path, settings.trust_ops)
    canvas_hw = choose_canvas_hw(signature.input, settings)
    load = _load_saved_model if signature.form == "saved_model" else _load_frozen_graph
    try:
        run = load(path, signature)
    except Exception as error:
        raise ModelError(
            f"{path}: TensorFlow can't load this model: {type(error).__name__}: {_shorten(error)}"
        ) from error
    return Predictor(run, signature, settings, canvas_hw)


class Predictor:
    """A loaded model.

    ``batch_size``: how many images a call takes at most; ``canvas_hw``: the (height, width) that images
    must have, or None when each keeps its own. ``prepare`` may be called from any thread, ``predict`` from
    one at a time.
    """

    def __init__(
        self,
        run: _Run,
        signature: ModelSignature,
        settings: ModelSettings,
        canvas_hw: tuple[int, int] | None,
    ) -> None:
        self.batch_size = choose_batch_size(signature.input, settings)
        self.canvas_hw = canvas_hw
        self._made_of = (run, signature, settings, canvas_hw)
        self._run = run
        self._input = signature.input
        self._always_full = signature.input.batch is not None or canvas_hw is not None
        self._stacker = BatchStacker(signature.input, settings.pixel_range)
        self._decoder = OutputDecoder(signature, settings)

    def share(self) -> "Predictor":
        """Give another predictor on the same loaded model, to predict at the same time in another thread.

        It pads to a power of two wherever the model takes any batch: a picture that comes alone costs one.
        """
        shared = Predictor(*self._made_of)
        shared._always_full = self._input.batch is not None
        return shared

    def prepare(self, image: NDArray[np.uint8]) -> Pixels:
        """Turn a uint8 [H, W, 3] RGB image into an input of ``predict``: itself, or PNG bytes."""
        return prepare_image(image, self._input.kind)

    def predict(self, inputs: Sequence[Pixels], image_hws: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detect on 1 to ``batch_size`` prepared images of one size; ``image_hws``: each (height, width).

        The batch is padded by its last image: to its full size when all batches have one shape anyway,
        else to a power of two, so that few shapes occur and little is computed in vain. Raises
        ``PredictionError`` when the model fails on this batch or gives values that are no boxes.
        """
        size = choose_padded_size(len(inputs), self.batch_size, always_full=self._always_full)
        batch = self._stacker.stack(inputs, size)
        try:
            outputs = {role: tensor.numpy() for role, tensor in self._run(batch).items()}
        except Exception as error:
            raise PredictionError(f"the model failed: {type(error).__name__}: {_shorten(error)}") from error
        return self._decoder.decode(outputs, image_hws)


def _load_saved_model(path: Path, signature: ModelSignature) -> _Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path), tags=list(signature.tags))
    key, name, wanted = signature.signature_key, signature.input.name, signature.outputs
    dtype = tf.as_dtype(signature.input.dtype)

    def run(batch: Any) -> Mapping[str, Any]:  # noqa: ANN401
        # Through the loaded object, because a signature alone doesn't keep its variables alive.
        found = loaded.signatures[key](**{name: _to_tensor(batch, dtype)})
        return {role: found[output] for role, output in wanted.items()}

    return run


def _load_frozen_graph(path: Path, signature: ModelSignature) -> _Run:
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    imported = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(graph, name=""), [])
    function = imported.prune(signature.input.name, signature.outputs)
    dtype = tf.as_dtype(signature.input.dtype)

    def run(batch: Any) -> Mapping[str, Any]:  # noqa: ANN401
        found: Mapping[str, Any] = function(_to_tensor(batch, dtype))
        return found

    return run


def _to_tensor(batch: Any, dtype: Any) -> Any:  # noqa: ANN401 (TensorFlow has no types)
    import tensorflow as tf

    if dtype == tf.string:
        return tf.constant(batch, dtype)
    # Shares the memory, which the stacker aligned; it isn't written again before the outputs are read.
    return tf.experimental.dlpack.from_dlpack(batch.__dlpack__())


def _shorten(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
