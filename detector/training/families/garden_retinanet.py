"""RetinaNet of the TensorFlow model garden, over its backbones: SpineNet, MobileDet, ResNet and others.

Owns the family: settings to the garden's config, targets as its parser makes them, losses as its task
computes them. The method is Lin et al., "Focal Loss for Dense Object Detection" (ICCV 2017).
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import tensorflow as tf
import tf_keras
from official.vision.configs import retinanet as configs
from official.vision.ops import anchor
from official.vision.tasks import retinanet

from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.garden import (
    cast_outputs,
    keras_of_garden,
    measure_canvas,
    normalise_pixels,
    pad_truth,
)
from detector.training.families.garden_anchors import Anchors, choose_anchors
from detector.training.families.garden_backbones import Pyramid, describe_pyramid, list_stages
from detector.training.families.garden_weights import load_garden_weights

_BACKBONE = "resnet_50"
_LEVELS = (3, 7)
_ANCHOR_SIZE = 4.0
_OCTAVES = 3
_MOBILE_WIDTH = 48  # of the heads over SpineNet-Mobile, as the garden has them


class GardenRetinaNetDetector:
    """The garden's RetinaNet; see ``families.family.Detector``."""

    keras: ModuleType = tf_keras

    def __init__(self, task: retinanet.RetinaNetTask, anchors: Anchors, class_count: int) -> None:
        self.input_px, self.class_count = anchors.canvas_px, class_count
        self._task, self._anchors = task, anchors
        self._labeler = anchor.AnchorLabeler()
        with keras_of_garden():
            self.model = task.build_model()
            self.model(tf.zeros([1, self.input_px, self.input_px, 3]), training=True)  # makes all variables

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        return list_stages(self.model.backbone, self.input_px)

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Label the anchors.

        Returns by level cls_targets int32 [B, H, W, A] (the class, -1 for none) and box_targets
        [B, H, W, 4 A], and of all anchors cls_weights and box_weights float32 [B, anchors].
        """
        boxes_px, classes = pad_truth(boxes_yxyx_norm, class_ids, self.input_px)
        placed = self._anchors.list_boxes()

        def label(row: tuple[Tensors, Tensors]) -> dict[str, Tensors]:
            boxes, ids = (tf.boolean_mask(each, row[1] > 0) for each in row)
            cls, box, _, cls_weights, box_weights = self._labeler.label_anchors(placed, boxes, ids[:, None])
            names = ("cls_targets", "box_targets", "cls_weights", "box_weights")
            return dict(zip(names, (dict(cls), dict(box), cls_weights, box_weights), strict=True))

        cells = {level: tuple(boxes.shape) for level, boxes in placed.items()}
        count = sum(height * width * depth // 4 for height, width, depth in cells.values())
        targets: dict[str, Tensors] = tf.map_fn(
            label,
            (boxes_px, classes),
            fn_output_signature={
                "cls_targets": {k: tf.TensorSpec([h, w, d // 4], tf.int32) for k, (h, w, d) in cells.items()},
                "box_targets": {k: tf.TensorSpec(shape, tf.float32) for k, shape in cells.items()},
                "cls_weights": tf.TensorSpec([count], tf.float32),
                "box_weights": tf.TensorSpec([count], tf.float32),
            },
        )
        return targets

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute the focal loss of the classes and the weighted Huber loss of the boxes."""
        outputs = self._run(pixels, training=training)
        _, class_loss, box_loss, _ = self._task.build_losses(outputs, targets)
        return {
            "class_loss": class_loss,
            "box_loss": self._task.task_config.losses.box_loss_weight * box_loss,
        }

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the box and the scores of every anchor."""
        outputs = self._run(pixels, training=False)
        return outputs["decoded_boxes"][:, :, 0] / self.input_px, outputs["decoded_box_scores"]

    def _run(self, pixels: Tensors, *, training: bool) -> dict[str, Tensors]:
        batch = tf.shape(pixels)[0]
        placed = {k: tf.tile(v[None], [batch, 1, 1, 1]) for k, v in self._anchors.list_boxes().items()}
        outputs = self.model(
            normalise_pixels(pixels),
            image_shape=measure_canvas(pixels),
            anchor_boxes=placed,
            training=training,
        )
        return cast_outputs(outputs)


def build_detector(request: FamilyRequest) -> GardenRetinaNetDetector:
    """Build the garden's RetinaNet as the settings say, ResNet-50 by default.

    Raises ``SettingsError`` for settings that the garden can't follow, ``ModelError`` for weights.
    """
    settings = request.settings
    pyramid = describe_pyramid(settings, default_backbone=_BACKBONE, default_levels=_LEVELS)
    anchors = choose_anchors(
        settings.anchors,
        request.boxes_wh_norm,
        levels=pyramid.levels,
        canvas_px=settings.input_px,
        octaves=_OCTAVES,
        default_size=_ANCHOR_SIZE,
    )
    task = retinanet.RetinaNetTask(configs.RetinaNetTask(model=_describe_model(request, pyramid, anchors)))
    detector = GardenRetinaNetDetector(task, anchors, request.class_count)
    load_garden_weights(detector.model, detector.model.checkpoint_items, settings.weights)
    return detector


def _describe_model(request: FamilyRequest, pyramid: Pyramid, anchors: Anchors) -> configs.RetinaNet:
    settings = request.settings
    head = configs.RetinaNetHead(use_separable_conv=pyramid.is_mobile)
    if pyramid.is_mobile:
        head.num_filters = _MOBILE_WIDTH
    if settings.pyramid_width is not None:
        head.num_filters = settings.pyramid_width
    if settings.head_depth is not None:
        head.num_convs = settings.head_depth
    return configs.RetinaNet(
        num_classes=request.class_count + 1,  # class 0 is the background, which nobody answers for
        input_size=[settings.input_px, settings.input_px, 3],
        min_level=pyramid.levels[0],
        max_level=pyramid.levels[1],
        anchor=configs.Anchor(num_scales=len(anchors.sizes), aspect_ratios=list(anchors.aspect_ratios)),
        backbone=pyramid.backbone,
        decoder=pyramid.decoder,
        norm_activation=pyramid.norm_activation,
        head=head,
        detection_generator=configs.DetectionGenerator(apply_nms=False),
    )
