"""CenterNet of the TensorFlow model garden: objects are peaks of a map of centres, no anchors.

Owns the family ``centernet`` over stacked hourglasses. The method is Zhou et al., "Objects as Points" (2019).
"""

import difflib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import tensorflow as tf
import tf_keras
from official.projects.centernet.configs import backbones
from official.projects.centernet.configs import centernet as configs
from official.projects.centernet.modeling.backbones import hourglass
from official.projects.centernet.tasks import centernet
from official.vision.configs import common

from detector.errors import SettingsError
from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.garden import (
    NORM_MOMENTUM,
    cast_outputs,
    fit_rows,
    keras_of_garden,
    measure_canvas,
    pad_truth,
    refuse_settings,
    spread_scores,
)
from detector.training.families.garden_backbones import list_stages
from detector.training.families.garden_weights import load_garden_weights
from detector.training.train_settings import NetworkSettings

_BACKBONE = "hourglass_52"
# Name: depth of one hourglass, and how many stand in a row; 104 is two of 52 layers.
_HOURGLASSES = {
    "hourglass_10": (10, 1),
    "hourglass_20": (20, 1),
    "hourglass_32": (32, 1),
    "hourglass_52": (52, 1),
    "hourglass_104": (52, 2),
}
_STRIDE = 4
_WIDTH = 128
_PEAKS = 200
_MEAN_BGR = (104.01362025, 114.03422265, 119.9165958)  # of the garden's parser and its checkpoints
_DEVIATION_BGR = (73.6027665, 69.89082075, 70.9150767)


class CenterNetDetector:
    """The garden's CenterNet; see ``families.family.Detector``."""

    keras: ModuleType = tf_keras

    def __init__(self, task: centernet.CenterNetTask, input_px: int, class_count: int) -> None:
        self.input_px, self.class_count = input_px, class_count
        self._task = task
        self._max_boxes = task.task_config.model.max_num_instances
        with keras_of_garden():
            self.model = task.build_model()
            self.model(tf.zeros([1, input_px, input_px, 3]), training=True)  # makes all variables
        # The garden's losses branch on tensors, which autograph alone can trace.
        self._build_losses = tf.function(task.build_losses, autograph=True)

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        return list_stages(self.model.backbone, self.input_px)

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Pad the truth; the garden draws its maps of centres with the losses.

        Returns boxes [B, N, 4] in pixels, padding 0, classes [B, N] from 1, padding -1, and the number of
        objects.
        """
        boxes_px, classes = pad_truth(boxes_yxyx_norm, class_ids, self.input_px)
        # 0, not -1: the garden looks up the cell of each row, and only a GPU lets it look outside.
        boxes_px = fit_rows(tf.maximum(boxes_px, 0), self._max_boxes, 0)
        classes = fit_rows(classes, self._max_boxes, -1)
        count = tf.reduce_sum(tf.cast(classes > 0, tf.int32), axis=1)
        return {"boxes": boxes_px, "classes": classes, "groundtruths": {"num_detections": count}}

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute the losses of the centres, of their offsets within a cell, and of the sizes."""
        outputs = cast_outputs(self.model(_normalise(pixels), training=training)["raw_output"])
        labels = targets | {"unpad_image_shapes": measure_canvas(pixels)}
        losses, weights = self._build_losses(outputs, labels), self._task.task_config.losses.detection
        return {
            "centre_loss": weights.object_center_weight * losses["ct_loss"],
            "size_loss": weights.scale_weight * losses["scale_loss"],
            "offset_loss": weights.offset_weight * losses["ct_offset_loss"],
        }

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the boxes of the highest peaks, at most 200, each with its class's score."""
        outputs = cast_outputs(self.model(_normalise(pixels), training=False))
        scores = spread_scores(outputs["confidence"], outputs["classes"], self.class_count)
        return outputs["boxes"] / self.input_px, scores


def build_detector(request: FamilyRequest) -> CenterNetDetector:
    """Build a CenterNet as the settings say, over one hourglass of 52 layers by default.

    Raises ``SettingsError`` for settings that the garden can't follow, ``ModelError`` for weights.
    """
    settings = request.settings
    no = "has one map, at stride 4, and no anchors"
    refuse_settings(settings, {"levels": no, "anchors": no, "head_depth": "has heads of one convolution"})
    depth, count = _find_hourglass(settings)
    cells = (settings.input_px // _STRIDE) ** 2 * request.class_count
    model = configs.CenterNetModel(
        num_classes=request.class_count,
        max_num_instances=request.max_boxes,
        input_size=[settings.input_px, settings.input_px, 3],
        backbone=backbones.Backbone(
            type="hourglass",
            hourglass=backbones.Hourglass(
                model_id=depth, num_hourglasses=count, input_channel_dims=settings.pyramid_width or _WIDTH
            ),
        ),
        head=configs.CenterNetHead(input_levels=[*(f"2_{number}" for number in range(count - 1)), "2"]),
        detection_generator=configs.CenterNetDetectionGenerator(max_detections=min(_PEAKS, cells)),
        norm_activation=common.NormActivation(
            norm_momentum=NORM_MOMENTUM, norm_epsilon=1e-5, use_sync_bn=False
        ),
    )
    task = centernet.CenterNetTask(configs.CenterNetTask(model=model, weight_decay=0.0))
    detector = CenterNetDetector(task, settings.input_px, request.class_count)
    load_garden_weights(detector.model, detector.model.checkpoint_items, settings.weights)
    return detector


def _find_hourglass(settings: NetworkSettings) -> tuple[int, int]:
    name = settings.backbone or _BACKBONE
    if name not in _HOURGLASSES:
        near = difflib.get_close_matches(name, _HOURGLASSES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(f"model.backbone: {name!r}: centernet takes {', '.join(_HOURGLASSES)}{hint}")
    depth, count = _HOURGLASSES[name]
    divisor = _STRIDE * 2 ** (len(hourglass.HOURGLASS_SPECS[depth]["blocks_per_stage"]) - 1)
    if settings.input_px % divisor:
        raise SettingsError(f"model.input_px is {settings.input_px}: {name} needs a multiple of {divisor}")
    return depth, count


def _normalise(pixels: Tensors) -> Tensors:
    return (pixels[..., ::-1] - _MEAN_BGR) / _DEVIATION_BGR
