"""YOLO v3 and v4 of the TensorFlow model garden.

Owns the families ``yolo_v3`` and ``yolo_v4``: targets as the garden's parser makes them, losses as its task
computes them, with the weights of the papers' own configuration files. The methods are Redmon and Farhadi,
"YOLOv3" (2018), and Bochkovskiy et al., "YOLOv4" (2020).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras
from official.projects.yolo.configs import backbones, decoders
from official.projects.yolo.configs import yolo as configs
from official.projects.yolo.modeling import factory
from official.projects.yolo.ops import anchor, loss_utils
from official.vision.configs import common

from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.garden import (
    NORM_MOMENTUM,
    Network,
    fit_rows,
    keras_of_garden,
    pad_truth,
)
from detector.training.families.garden_weights import load_garden_weights
from detector.training.families.garden_yolo_anchors import PER_LEVEL, choose_yolo_anchors
from detector.training.families.garden_yolo_network import (
    YoloNetwork,
    find_yolo_backbone,
    refuse_yolo_settings,
)

# Name: the garden's model, the decoder made for it, its finest level; the coarsest is 5.
_DARKNETS = {
    "darknet_53": ("darknet53", "regular", 3),
    "cspdarknet_53": ("cspdarknet53", "regular", 3),
    "darknet_tiny": ("darknettiny", "tiny", 4),
    "cspdarknet_tiny": ("cspdarknettiny", "tiny", 4),
}
_COARSEST = 5
_DEFAULT = {"yolo_v3": "darknet_53", "yolo_v4": "cspdarknet_53"}
# The paper's v4 has mish, which TensorFlow 2.20 can't run on a CPU after a BatchNorm that it folds.
_ACTIVATION = "leaky"
# How far a cell may place a centre outside itself, by level.
_REACH = {"yolo_v3": {"3": 1.0, "4": 1.0, "5": 1.0}, "yolo_v4": {"3": 1.2, "4": 1.1, "5": 1.05}}
_TILE = 50  # boxes that the loss compares at once; it looks at whole tiles, and never at the last
_ANCHOR_IOU = 0.4  # with a box's sides, above which an anchor answers for the box, too


class YoloDetector(YoloNetwork):
    """The garden's YOLO v3 or v4; see ``families.family.Detector``."""

    def __init__(
        self,
        model: Network,
        losses: Any,  # noqa: ANN401 (the garden's)
        labeler: anchor.YoloAnchorLabeler,
        request: FamilyRequest,
    ) -> None:
        super().__init__(model, input_px=request.settings.input_px, class_count=request.class_count)
        self._labeler, self._rows = labeler, request.max_boxes
        # Both branch on tensors, which autograph alone can trace.
        side = self.input_px
        self._label: Any = tf.function(lambda boxes, ids: labeler(boxes, ids, side, side), autograph=True)
        # Not a function of its own: the gradients that darknet's losses bring along can't leave one.
        self._compute_loss = tf.autograph.to_graph(losses.__call__)
        self._losses = losses

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Say which cells and anchors answer for which box.

        Returns by level inds int32 [B, N, 3], upds float32 [B, N, 6] (x and y of the centre, width, height,
        1, class from 0) and true_conf [B, H, W, A, 1]; and bbox [B, N, 4] and classes [B, N] from 0, padding
        -1.
        """
        boxes, classes = pad_truth(boxes_yxyx_norm, class_ids, 1)

        def label(row: tuple[Tensors, Tensors]) -> tuple[Any, Any, Any]:
            own_boxes, own_classes = (tf.boolean_mask(each, row[1] > 0) for each in row)
            labelled: tuple[Any, Any, Any] = self._label(own_boxes, own_classes - 1)
            return labelled

        inds, upds, true_conf = tf.map_fn(
            label, (boxes, classes), fn_output_signature=self._describe_targets()
        )
        rows = (-(-self._rows // _TILE) + 1) * _TILE
        own_ids = tf.cast(tf.where(classes > 0, classes - 1, -1), tf.float32)
        return {
            "inds": inds,
            "upds": upds,
            "true_conf": true_conf,
            "bbox": fit_rows(tf.maximum(boxes, 0), rows, 0),
            "classes": fit_rows(own_ids, rows, -1),
        }

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute the loss, summed by the garden over boxes, objects and classes of all levels."""
        outputs = self.predict(pixels, training=training)
        with _grids_without_padding():
            loss, *_ = self._compute_loss(self._losses, targets, outputs)
        return {"yolo_loss": loss}

    def _describe_targets(self) -> tuple[Any, Any, Any]:
        counts = {level: len(sides) for level, sides in self._labeler.anchors.items()}
        cells = {level: self.input_px // 2 ** int(level) for level in counts}
        rows = self._labeler.num_instances
        return (
            {level: tf.TensorSpec([rows[level], 3], tf.int32) for level in cells},
            {level: tf.TensorSpec([rows[level], 6], tf.float32) for level in cells},
            {k: tf.TensorSpec([side, side, counts[k], 1], tf.float32) for k, side in cells.items()},
        )


def build_detector(request: FamilyRequest) -> YoloDetector:
    """Build a YOLO v3 or v4 as the settings say, over Darknet-53 or CSPDarknet-53 by default.

    Raises ``SettingsError`` for settings that the garden can't follow, ``ModelError`` for weights.
    """
    settings = request.settings
    refuse_yolo_settings(settings)
    version = settings.architecture
    model_id, kind, finest = _DARKNETS[find_yolo_backbone(settings, _DEFAULT[version], _DARKNETS)]
    sides = choose_yolo_anchors(
        request.boxes_wh_norm, levels=(finest, _COARSEST), canvas_px=settings.input_px
    )
    config = _describe_model(request, sides, (model_id, kind, finest))
    specs = tf_keras.layers.InputSpec(shape=[None, *config.input_size])
    with keras_of_garden():
        model, losses = factory.build_yolo(specs, config, None)
    labeler = anchor.YoloAnchorLabeler(
        anchors=config.anchor_boxes.get(finest, _COARSEST)[0],
        level_strides=config.detection_generator.path_scales.get(),
        max_num_instances=request.max_boxes,
        match_threshold=_ANCHOR_IOU,
        darknet=True,
    )
    detector = YoloDetector(model, losses, labeler, request)
    load_garden_weights(detector.model, detector.model.checkpoint_items, settings.weights)
    return detector


@contextmanager
def _grids_without_padding() -> Iterator[None]:
    # The garden's own puts padding outside the grid, which a GPU ignores and a CPU refuses.
    original = loss_utils.build_grid
    loss_utils.build_grid = _build_grid
    try:
        yield
    finally:
        loss_utils.build_grid = original


def _build_grid(
    indexes: Tensors, truths: Tensors, preds: Tensors, ind_mask: Tensors, *, update: bool = False
) -> Tensors:
    """Put truths [B, N, K] at indexes int32 [B, N, 3] into zeros like preds [B, H, W, A, K]."""
    is_row = ind_mask[..., 0] > 0
    batches = tf.where(is_row)[:, :1]
    places = tf.concat([tf.cast(batches, indexes.dtype), tf.boolean_mask(indexes, is_row)], axis=-1)
    values = tf.boolean_mask(truths, is_row)
    values = tf.where(tf.math.is_finite(values), values, 0)
    scatter = tf.tensor_scatter_nd_update if update else tf.tensor_scatter_nd_max
    return scatter(tf.zeros_like(preds), places, values)


def _describe_model(
    request: FamilyRequest, sides: list[list[float]], darknet: tuple[str, str, int]
) -> configs.Yolo:
    settings, (model_id, kind, finest) = request.settings, darknet
    version = settings.architecture
    return configs.Yolo(
        input_size=[settings.input_px, settings.input_px, 3],
        num_classes=request.class_count,
        darknet_based_model=True,
        backbone=backbones.Backbone(
            type="darknet",
            darknet=backbones.Darknet(model_id=model_id, min_level=finest, max_level=_COARSEST),
        ),
        decoder=decoders.Decoder(
            type="yolo_decoder",
            yolo_decoder=decoders.YoloDecoder(version=version.removeprefix("yolo_"), type=kind),
        ),
        detection_generator=configs.YoloDetectionGenerator(scale_xy=_REACH[version] | {"all": None}),
        # As in yolov4.cfg of darknet: [yolo] iou_normalizer, ignore_thresh, max_delta.
        loss=configs.YoloLoss(
            use_scaled_loss=False,
            iou_normalizer=_at_each_level(0.07),
            ignore_thresh=_at_each_level(0.7),
            max_delta=_at_each_level(5.0),
        ),
        norm_activation=common.NormActivation(
            activation=_ACTIVATION, use_sync_bn=False, norm_momentum=NORM_MOMENTUM
        ),
        anchor_boxes=configs.AnchorBoxes(
            anchors_per_scale=PER_LEVEL, boxes=[configs.Box(box=side) for side in sides]
        ),
    )


def _at_each_level(value: float) -> dict[str, float | None]:
    return {str(level): value for level in range(1, 8)} | {"all": None}
