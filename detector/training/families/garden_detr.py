"""DETR of the TensorFlow model garden: a transformer that answers with a set of objects.

Owns the family ``detr``. The method is Carion et al., "End-to-End Object Detection with Transformers" (ECCV
2020): matched one to one, so nothing needs suppression, and hundreds of epochs long.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf
import tf_keras
from official.projects.detr.configs import detr as configs
from official.projects.detr.tasks import detection
from official.vision.ops import box_ops

from detector.errors import SettingsError
from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.garden import (
    cast_outputs,
    fit_rows,
    keras_of_garden,
    normalise_pixels,
    pad_truth,
    refuse_settings,
)
from detector.training.families.garden_backbones import describe_pyramid, list_stages
from detector.training.families.garden_weights import load_garden_weights

_BACKBONE = "resnet_50"
_LEVEL = 5
_HIDDEN = 256
_LAYERS = 6


class DetrDetector:
    """The garden's DETR; see ``families.family.Detector``."""

    keras: ModuleType = tf_keras

    def __init__(self, task: detection.DetectionTask, input_px: int, class_count: int) -> None:
        self.input_px, self.class_count = input_px, class_count
        self._task = task
        self._queries = task.task_config.model.num_queries
        with keras_of_garden():
            self.model = task.build_model()
            self.model(tf.zeros([1, input_px, input_px, 3]), training=False)  # makes all variables

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        return list_stages(self.model.backbone, self.input_px)

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Pad the truth to the number of queries; more boxes than that are cut off.

        Returns boxes float32 [B, Q, 4], (y_centre, x_centre, height, width) in fractions, and classes int32
        [B, Q] from 1, padding 0 in both.
        """
        boxes, classes = pad_truth(boxes_yxyx_norm, class_ids, 1)
        boxes, classes = fit_rows(tf.maximum(boxes, 0), self._queries, 0), tf.maximum(classes, 0)
        return {"boxes": box_ops.yxyx_to_cycxhw(boxes), "classes": fit_rows(classes, self._queries, 0)}

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute class, L1 and GIoU losses after the best matching, summed over the decoder's layers."""
        totals = {"class_loss": 0.0, "box_loss": 0.0, "giou_loss": 0.0}
        for outputs in self.model(normalise_pixels(pixels), training=training):
            _, *losses = self._task.build_losses(cast_outputs(outputs), targets)
            totals = {name: totals[name] + loss for name, loss in zip(totals, losses, strict=True)}
        return totals

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give each query's box and scores."""
        outputs = cast_outputs(self.model(normalise_pixels(pixels), training=False)[-1])
        scores = tf.nn.softmax(outputs["cls_outputs"])[..., 1:]
        return box_ops.cycxhw_to_yxyx(outputs["box_outputs"]), scores


def build_detector(request: FamilyRequest) -> DetrDetector:
    """Build a DETR as the settings say, ResNet-50 by default.

    ``pyramid_width`` is the transformer's width, ``head_depth`` the layers of its encoder and of its decoder.
    Raises ``SettingsError`` for settings that the garden can't follow, ``ModelError`` for weights.
    """
    settings = request.settings
    if keras.config.dtype_policy().compute_dtype != "float32":
        raise SettingsError("fit.precision: detr's transformer mixes types, which it can't run: take float32")
    no = "has one map and no anchors"
    refuse_settings(settings, {"levels": no, "anchors": no})
    one_map = settings.model_copy(update={"pyramid_width": None})
    pyramid = describe_pyramid(one_map, default_backbone=_BACKBONE, default_levels=(_LEVEL, _LEVEL))
    model = configs.Detr(
        num_classes=request.class_count + 1,  # class 0 is the background
        input_size=[settings.input_px, settings.input_px, 3],
        hidden_size=settings.pyramid_width or _HIDDEN,
        num_encoder_layers=settings.head_depth or _LAYERS,
        num_decoder_layers=settings.head_depth or _LAYERS,
        backbone=pyramid.backbone,
        norm_activation=pyramid.norm_activation,
        backbone_endpoint_name=str(_LEVEL),
    )
    detector = DetrDetector(
        detection.DetectionTask(configs.DetrTask(model=model)), settings.input_px, request.class_count
    )
    load_garden_weights(detector.model, {"backbone": detector.model.backbone}, settings.weights)
    return detector
