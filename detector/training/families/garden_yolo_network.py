"""What the YOLOs of the TensorFlow model garden share: the network's run and decoding, refused settings.

Owns what doesn't depend on a version's loss.
"""

import difflib
from collections.abc import Collection, Sequence
from types import ModuleType
from typing import Any

import tensorflow as tf
import tf_keras
from official.projects.yolo.common import registry_imports  # noqa: F401 (registers backbones and decoders)

from detector.errors import SettingsError
from detector.training.families.family import Tensors
from detector.training.families.garden import Network, cast_outputs, keras_of_garden, refuse_settings
from detector.training.families.garden_backbones import list_stages
from detector.training.train_settings import NetworkSettings


class YoloNetwork:
    """The part of a YOLO detector that doesn't depend on its loss; see ``families.family.Detector``."""

    keras: ModuleType = tf_keras

    def __init__(self, model: Network, *, input_px: int, class_count: int) -> None:
        self.model, self.input_px, self.class_count = model, input_px, class_count
        with keras_of_garden():
            model(tf.zeros([1, input_px, input_px, 3]), training=True)  # makes all variables

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        return list_stages(self.model.backbone, self.input_px)

    def predict(self, pixels: Tensors, *, training: bool) -> dict[str, Tensors]:
        """Run the network: by level float32 [B, H, W, A, class_count + 5]."""
        model = self.model
        # Its own call suppresses overlapping boxes at once; its parts don't.
        maps = model.decoder(model.backbone(pixels / 255.0, training=training), training=training)
        return cast_outputs(model.head(maps, training=training))

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the box and the scores of every anchor of every cell."""
        outputs = self.predict(pixels, training=False)
        parse = self.model.detection_generator.parse_prediction_path
        parsed = [parse(level, outputs[level]) for level in sorted(outputs)]
        objectness, boxes, scores = (tf.concat(parts, axis=1) for parts in zip(*parsed, strict=True))
        return boxes, self.score(objectness, scores)

    def score(self, objectness: Tensors, class_scores: Tensors) -> Tensors:  # noqa: ARG002 (for v7)
        """Give the scores [B, L, C] from objectness [B, L] and class times objectness [B, L, C]."""
        return class_scores


def refuse_yolo_settings(settings: NetworkSettings) -> None:
    """Raise ``SettingsError`` for settings that no YOLO of the garden can follow."""
    fixed = "has levels, widths and heads by its backbone"
    refuse_settings(
        settings,
        {
            "levels": fixed,
            "pyramid_width": fixed,
            "head_depth": fixed,
            "anchors": "takes its anchors from the training boxes, others at each level",
        },
    )


def find_yolo_backbone(settings: NetworkSettings, default: str, names: Collection[str]) -> str:
    """Give the backbone's name, or raise ``SettingsError`` for one that isn't among ``names``."""
    name = settings.backbone or default
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(
            f"model.backbone: {name!r}: {settings.architecture} takes {', '.join(names)}{hint}"
        )
    return name
