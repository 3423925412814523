"""Weights to begin with: what ``model.weights`` names, and loading it without guessing.

Owns the five kinds: none, a Keras weights file of a backbone, the folder of an earlier run, a KerasHub
preset's folder, a preset's name. Refuses weights that don't fit, by file, expected and found; layers of an
earlier run whose size follows from the number of classes or anchors alone may differ and stay random.
"""

import difflib
import json
import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py  # type: ignore[import-untyped]
import numpy as np

from detector.errors import ModelError

Model = Any  # keras ships no types that mypy follows here
Kind = Literal["none", "file", "run", "preset"]
RUN_WEIGHTS = "model.weights.h5"  # in a run's folder, and in that of a preset beside PRESET_CONFIG
PRESET_CONFIG = "config.json"
_HUBS = ("kaggle://", "hf://", "modelscope://")
_MOST_LEFT = 0.25  # of arrays: heads alone are fewer
_SHOWN_CHARACTERS = 200
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightsSource:
    """Where weights come from; ``place`` is a path, or a preset's name that a hub knows."""

    kind: Kind
    place: str = ""

    @property
    def path(self) -> Path:
        """Give the place as a path."""
        return Path(self.place)


def locate_weights(weights: str | None) -> WeightsSource:
    """Say what kind of weights a setting names; looks at the file system alone, not at any hub.

    Raises ``ModelError`` for a path without anything known there, and for a name that is no preset.
    """
    if weights is None:
        return WeightsSource("none")
    if weights.startswith(_HUBS):
        return WeightsSource("preset", weights)
    path = Path(weights)
    if path.is_dir():
        return WeightsSource(_classify_folder(path), weights)
    if path.is_file():
        return WeightsSource("file", weights)
    presets = list_preset_names()
    if weights in presets:
        return WeightsSource("preset", weights)
    near = difflib.get_close_matches(weights, presets, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ModelError(
        f"model.weights: {weights} is no file, no folder and no preset of KerasHub's backbones{hint}"
    )


def list_preset_names() -> list[str]:
    """List the presets that KerasHub has for backbones of pictures; their weights are on a hub."""
    from keras_hub import models

    classes = (
        models.FeaturePyramidBackbone, models.CSPNetBackbone, models.DenseNetBackbone,
        models.EfficientNetBackbone, models.ResNetBackbone, models.RetinaNetBackbone,
        models.DFineBackbone, models.HGNetV2Backbone,
    )  # fmt: skip
    return sorted({name for each in classes for name in each.presets})


def load_backbone_file(model: Model, path: Path, name: str) -> None:
    """Load a Keras weights file (.weights.h5, or .h5 of older Keras) into a backbone, in place.

    Raises ``ModelError`` when layers or shapes differ: nothing is skipped.
    """
    fault = ""
    try:
        left = _load_and_list_left(model, path, skip_mismatch=False)
    except (ValueError, OSError, KeyError, IndexError, TypeError) as error:
        left, fault = ["all"], f" ({_shorten(error)})"
    if left:
        raise ModelError(
            f"{path}: not the weights of {name} without its top: expected {_describe(_list_shapes(model))}, "
            f"found {_describe_file(path)}{fault}; set model.backbone to what they are of"
        )


def load_run_weights(model: Model, folder: Path) -> list[str]:
    """Load the weights of an earlier run into a whole detector, in place; return what stayed random.

    ``folder`` holds ``model.weights.h5``, as Keras's ``save_weights`` writes it. Layers whose size another
    label map, or another number of anchors, makes differ stay as they are. Raises ``ModelError`` for a file
    of another network: one with more or fewer arrays, or of which over a quarter doesn't fit.
    """
    path = folder / RUN_WEIGHTS
    try:
        found = _list_file_shapes(path)
        same = len(found) == len(_list_shapes(model))
        left = _load_and_list_left(model, path, skip_mismatch=True) if same else None
    except (ValueError, OSError, KeyError) as error:
        raise ModelError(f"{path}: can't be read as Keras weights ({_shorten(error)})") from error
    if left is None or len(left) > len(found) * _MOST_LEFT:
        fault = "" if left is None else f"; {len(left)} of them don't fit, {left[0]} first"
        raise ModelError(
            f"{path}: of another network: expected {_describe(_list_shapes(model))}, found {_describe(found)}"
            f"{fault}; give model the settings of that run, or start without its weights"
        )
    if left:
        _LOGGER.info("%s: loaded, but for %s, which stay random", path, ", ".join(left))
    return left


def _load_and_list_left(model: Model, path: Path, *, skip_mismatch: bool) -> list[str]:
    # Keras tells what it left out in a warning's text alone, among warnings that mean nothing. Whatever is
    # still NaN was left out; it gets its old values again.
    kept = [(variable, variable.numpy()) for variable in model.variables if _is_float(variable)]
    for variable, values in kept:
        variable.assign(np.full_like(values, np.nan))
    left = []
    options = {"skip_mismatch": True} if skip_mismatch else {}  # older formats refuse the word
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_weights(str(path), **options)
    finally:
        for variable, values in kept:
            if values.size and np.isnan(variable.numpy()).all():
                variable.assign(values)
                left.append(variable.path)
    return left


def _is_float(variable: Any) -> bool:  # noqa: ANN401 (a keras.Variable)
    return "float" in str(variable.dtype)  # bfloat16 is none of NumPy's own


def _classify_folder(folder: Path) -> Kind:
    config = folder / PRESET_CONFIG
    if config.is_file() and "registered_name" in json.loads(config.read_text(encoding="utf-8")):
        return "preset"
    if (folder / RUN_WEIGHTS).is_file():
        return "run"
    raise ModelError(
        f"model.weights: {folder} is neither an earlier run ({RUN_WEIGHTS} in it) nor a KerasHub preset "
        f"({PRESET_CONFIG} with its registered_name); name the folder that holds one of them"
    )


def _list_shapes(model: Model) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in model.variables if _is_float(variable)]


def _list_file_shapes(path: Path) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []

    def visit(name: str, item: Any) -> None:  # noqa: ANN401 (of h5py)
        # States of random generators are whole numbers, and Keras doesn't save all of them.
        if (
            isinstance(item, h5py.Dataset)
            and not name.startswith("optimizer")
            and item.dtype.kind not in "iu"
        ):
            shapes.append(tuple(item.shape))

    with h5py.File(path) as file:
        file.visititems(visit)
    return shapes


def _describe_file(path: Path) -> str:
    try:
        return _describe(_list_file_shapes(path))
    except OSError:
        return "no HDF5 file"


def _describe(shapes: list[tuple[int, ...]]) -> str:
    return f"{len(shapes)} arrays of {sum(math.prod(shape) for shape in shapes):,} numbers"


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:_SHOWN_CHARACTERS]
