"""YOLO v7 of the TensorFlow model garden.

Owns the family ``yolo_v7``, with the garden's plain assignment of targets in place of optimal transport. The
method is Wang et al., "YOLOv7" (CVPR 2023).
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.projects.yolo.configs import backbones, decoders
from official.projects.yolo.configs import yolo as yolo_configs
from official.projects.yolo.configs import yolov7 as configs
from official.projects.yolo.losses import yolov7_loss
from official.projects.yolo.modeling import factory
from official.vision.configs import common

from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.garden import NORM_MOMENTUM, Network, keras_of_garden, pad_truth
from detector.training.families.garden_weights import load_garden_weights
from detector.training.families.garden_yolo_anchors import PER_LEVEL, choose_yolo_anchors
from detector.training.families.garden_yolo_network import (
    YoloNetwork,
    find_yolo_backbone,
    refuse_yolo_settings,
)

_LEVELS = (3, 5)
_BACKBONE = "yolo_v7_tiny"
_BACKBONES = {
    "yolo_v7_pico": "yolov7-pico",
    "yolo_v7_nano": "yolov7-nano",
    "yolo_v7_tiny": "yolov7-tiny",
    "yolo_v7": "yolov7",
    "yolo_v7x": "yolov7x",
}


class YoloV7Detector(YoloNetwork):
    """The garden's YOLO v7; see ``families.family.Detector``."""

    def __init__(self, model: Network, config: configs.YoloV7) -> None:
        super().__init__(model, input_px=config.input_size[0], class_count=config.num_classes)
        anchors, _ = config.anchor_boxes.get(*_LEVELS)
        loss = yolov7_loss.YoloV7Loss(
            anchors=list(anchors.values()),
            strides=[2 ** int(level) for level in anchors],
            input_size=config.input_size[:2],
            num_classes=config.num_classes,
            **{name: getattr(config.loss, name) for name in ("alpha", "gamma", "anchor_threshold")},
            **{name: getattr(config.loss, name) for name in ("box_weight", "obj_weight", "cls_weight")},
        )
        # It branches on tensors, which autograph alone can trace.
        self._compute_loss: Any = tf.function(
            lambda labels, outputs: loss(labels, outputs)[0], autograph=True
        )

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Give bbox [B, M, 4] and classes [B, M] from 0, padding -1; the loss assigns them to anchors."""
        boxes, classes = pad_truth(boxes_yxyx_norm, class_ids, 1)
        return {"bbox": tf.maximum(boxes, 0), "classes": tf.where(classes > 0, classes - 1, -1)}

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute the loss, summed by the garden over boxes, objects and classes of all levels."""
        return {"yolo_loss": self._compute_loss(targets, self.predict(pixels, training=training))}

    def score(self, objectness: Tensors, class_scores: Tensors) -> Tensors:
        """Give the scores of classes; of a single one, the objectness: its loss teaches no class then."""
        return objectness[..., None] if self.class_count == 1 else class_scores


def build_detector(request: FamilyRequest) -> YoloV7Detector:
    """Build a YOLO v7 as the settings say, the tiny one by default.

    Raises ``SettingsError`` for settings that the garden can't follow, ``ModelError`` for weights.
    """
    settings = request.settings
    refuse_yolo_settings(settings)
    model_id = _BACKBONES[find_yolo_backbone(settings, _BACKBONE, _BACKBONES)]
    sides = choose_yolo_anchors(request.boxes_wh_norm, levels=_LEVELS, canvas_px=settings.input_px)
    config = configs.YoloV7(
        input_size=[settings.input_px, settings.input_px, 3],
        num_classes=request.class_count,
        backbone=backbones.Backbone(type="yolov7", yolov7=backbones.YoloV7(model_id=model_id)),
        decoder=decoders.Decoder(type="yolov7", yolov7=decoders.YoloV7(model_id=model_id)),
        norm_activation=common.NormActivation(
            activation="swish", use_sync_bn=False, norm_momentum=NORM_MOMENTUM
        ),
        anchor_boxes=yolo_configs.AnchorBoxes(
            anchors_per_scale=PER_LEVEL, boxes=[yolo_configs.Box(box=side) for side in sides]
        ),
    )
    specs = tf_keras.layers.InputSpec(shape=[None, *config.input_size])
    with keras_of_garden():
        model = factory.build_yolov7(specs, config, None)
    detector = YoloV7Detector(model, config)
    load_garden_weights(detector.model, detector.model.checkpoint_items, settings.weights)
    return detector
