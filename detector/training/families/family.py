"""What a family of detection models is to training: the same four things, whatever the network.

Owns the contract between networks and everything around them. A family builds its network, encodes boxes as
targets, computes its loss and decodes its outputs; the input, the loop, the evaluation and the export know
nothing else of it.

Conventions. Pixels are float32 [B, S, S, 3], RGB, 0 to 255, on a square canvas of S = ``input_px``; what a
network wants else (scaling, means) is part of the network. Boxes are ``boxes_yxyx_norm`` float32 [B, M, 4] in
fractions of the canvas, padded with rows of zeros; ``class_ids`` int32 [B, M] count from 1, 0 marks padding.
All tensors are TensorFlow's, and everything here can be traced into a ``tf.function``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.training.train_settings import NetworkSettings

Tensors = Any  # TensorFlow ships no types
Model = Any  # of keras, or of tf_keras for the model garden


@dataclass(frozen=True)
class FamilyRequest:
    """What a family is asked to build for.

    ``boxes_wh_norm`` float32 [N, 2] are (width, height) of the training boxes in fractions of the canvas, for
    families that size their anchors by them; ``max_boxes`` is the most boxes of one picture.
    """

    settings: NetworkSettings
    class_count: int
    boxes_wh_norm: NDArray[np.float32]
    max_boxes: int = 100


class Detector(Protocol):
    """One built network.

    ``model`` is uncompiled; ``keras`` the Keras that made it (``keras`` or ``tf_keras``), whose optimizers
    fit it; ``backbone_stages`` are its backbone's layers, finest stage first, for freezing.
    """

    model: Model
    keras: ModuleType
    input_px: int
    class_count: int

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        ...

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Turn padded boxes [B, M, 4] and class_ids [B, M] into what ``compute_losses`` compares with."""
        ...

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Run the network on pixels and compute its losses, scalars by name; their sum is minimised."""
        ...

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Run the network for inference: boxes_yxyx_norm [B, L, 4] and scores [B, L, class_count].

        Scores are 0 to 1; class c of ``scores`` has class_id c + 1. No suppression of overlapping boxes is
        needed: the exporter has one for all families. L may not depend on the batch.
        """
        ...


class Family(Protocol):
    """A way to build detectors; a module of this package registers one under its architecture's name."""

    def __call__(self, request: FamilyRequest) -> Detector:
        """Build the network, with the weights that the settings name.

        Raises ``SettingsError`` for a setting that this family can't follow, by name, and ``ModelError``
        for weights that don't fit.
        """
        ...
