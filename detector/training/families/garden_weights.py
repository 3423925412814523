"""Weights to begin with for the model garden's detectors: its own checkpoints, or an earlier run.

Owns the reading of TensorFlow checkpoints as the garden's trainer writes them, which name the parts of a
model: backbone, decoder, heads. A backbone must fit; heads of other classes or anchors stay random, and the
log says so. Refuses anything else by what was found.
"""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from detector.errors import ModelError
from detector.training.families.garden import Network
from detector.training.families.weights import RUN_WEIGHTS

_LOGGER = logging.getLogger(__name__)


def load_garden_weights(model: Network, parts: Mapping[str, Any], weights: str | None) -> None:
    """Load what ``model.weights`` names into a built model, in place; None leaves it random.

    ``parts`` are the model's parts by the garden's names (``checkpoint_items``). ``weights`` is the folder of
    an earlier run, a checkpoint's prefix (``.../ckpt-28080``), or a folder of checkpoints, whose latest is
    taken. Raises ``ModelError`` for anything else, and for a backbone that doesn't fit.
    """
    if weights is None:
        return
    path = Path(weights)
    if (path / RUN_WEIGHTS).is_file():
        _load_run(model, parts, path / RUN_WEIGHTS)
        return
    prefix = tf.train.latest_checkpoint(weights) if path.is_dir() else weights
    if prefix is None or not Path(f"{prefix}.index").is_file():
        raise ModelError(
            f"model.weights: {weights} is neither a checkpoint of the model garden (give its prefix, beside "
            f"which .index and .data files lie) nor the folder of an earlier run with {RUN_WEIGHTS}"
        )
    _load_checkpoint(prefix, parts)


def _load_checkpoint(prefix: str, parts: Mapping[str, Any]) -> None:
    keys = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    held = {name: part for name, part in parts.items() if any(key.startswith(f"{name}/") for key in keys)}
    if "backbone" not in held:
        found = sorted({key.partition("/")[0] for key in keys})
        raise ModelError(
            f"{prefix}: no checkpoint with a backbone of the model garden: it has {', '.join(found)}"
        )
    for name, part in held.items():
        before = [(variable, variable.numpy()) for variable in _list_variables(part)]
        try:
            status = tf.train.Checkpoint(**{name: part}).read(prefix)
            status.expect_partial().assert_existing_objects_matched()
        except (ValueError, AssertionError) as error:
            if name == "backbone":
                raise ModelError(
                    f"{prefix}: its backbone isn't the one of model.backbone ({str(error).splitlines()[0]})"
                ) from error
            for variable, value in before:
                variable.assign(value)
            _LOGGER.warning("%s: %s is of other classes or sizes and stays random", prefix, name)


def _list_variables(part: Any) -> list[Any]:  # noqa: ANN401 (a layer, or the heads of a cascade)
    layers = [part] if hasattr(part, "variables") else list(part)
    return [variable for layer in layers for variable in layer.variables]


def _load_run(model: Network, parts: Mapping[str, Any], path: Path) -> None:
    backbone = [variable for variable in parts["backbone"].variables if variable.dtype.is_floating]
    for variable in backbone:
        variable.assign(tf.fill(variable.shape, tf.cast(np.nan, variable.dtype)))  # seen below if not loaded
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.load_weights(str(path), skip_mismatch=True)
    except (ValueError, OSError, KeyError) as error:
        raise ModelError(f"{path}: can't be read as weights ({str(error).splitlines()[0]})") from error
    if any(np.isnan(variable.numpy()).any() for variable in backbone):
        raise ModelError(f"{path}: its backbone isn't the one of model.backbone: give that run's settings")
    for warning in caught:
        _LOGGER.warning("%s: %s", path, str(warning.message).splitlines()[0])
