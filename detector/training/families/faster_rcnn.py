"""Faster R-CNN of the TensorFlow model garden: proposals first, then a head that looks at each.

Owns the families ``faster_rcnn`` and, with three heads in a row, ``cascade_rcnn``: settings to the garden's
config, targets as its parser makes them, losses as its task computes them. The methods are Ren et al.,
"Faster R-CNN" (NeurIPS 2015), with the pyramid of Lin et al. (CVPR 2017), and Cai and Vasconcelos,
"Cascade R-CNN" (CVPR 2018).
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import tensorflow as tf
import tf_keras
from official.vision.configs import maskrcnn as configs
from official.vision.modeling.layers import box_sampler
from official.vision.ops import anchor
from official.vision.tasks import maskrcnn

from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.garden import (
    cast_outputs,
    fixed_statistics,
    keep_best_pairs,
    keras_of_garden,
    measure_canvas,
    normalise_pixels,
    pad_truth,
)
from detector.training.families.garden_anchors import Anchors, choose_anchors
from detector.training.families.garden_backbones import Pyramid, describe_pyramid, list_stages
from detector.training.families.garden_weights import load_garden_weights

_BACKBONE = "resnet_50"
_LEVELS = (2, 6)
_ANCHOR_SIZE = 8.0
_PROPOSALS = 1000
_SAMPLED = 512
_CASCADE_IOUS = [0.6, 0.7]  # of the second and third head; the first one's is .5
_PAIRS = 1000  # (box, class) that go into the suppression


class FasterRcnnDetector:
    """A Faster R-CNN or a cascade; see ``families.family.Detector``."""

    keras: ModuleType = tf_keras

    def __init__(self, task: maskrcnn.MaskRCNNTask, anchors: Anchors, class_count: int) -> None:
        self.input_px, self.class_count = anchors.canvas_px, class_count
        self._task, self._anchors = task, anchors
        self._labeler = anchor.RpnAnchorLabeler()
        with keras_of_garden():
            self.model = task.build_model()
        for sampler in self.model.roi_sampler:
            sampler._sampler = _AnyBatchSampler(**sampler._sampler.get_config())  # noqa: SLF001 (no setter)

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        return list_stages(self.model.backbone, self.input_px)

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Label the anchors for the proposals, and pad the truth; which anchors count is drawn anew.

        Returns gt_boxes [B, M, 4] in pixels and gt_classes [B, M], padding -1, and by level
        rpn_score_targets [B, H, W, A] (1 object, 0 background, -1 doesn't count) and rpn_box_targets
        [B, H, W, 4 A].
        """
        boxes_px, classes = pad_truth(boxes_yxyx_norm, class_ids, self.input_px)
        placed = self._anchors.list_boxes()

        def label(row: tuple[Tensors, Tensors]) -> tuple[dict[str, Tensors], dict[str, Tensors]]:
            boxes, ids = (tf.boolean_mask(each, row[1] > 0) for each in row)
            labelled = self._labeler.label_anchors(placed, boxes, tf.cast(ids[:, None], tf.float32))
            return dict(labelled[0]), dict(labelled[1])

        scores_like = {k: tf.TensorSpec([*v.shape[:2], v.shape[2] // 4], tf.int32) for k, v in placed.items()}
        boxes_like = {k: tf.TensorSpec(v.shape, tf.float32) for k, v in placed.items()}
        scores, offsets = tf.map_fn(label, (boxes_px, classes), fn_output_signature=(scores_like, boxes_like))
        return {
            "gt_boxes": boxes_px,
            "gt_classes": classes,
            "rpn_score_targets": scores,
            "rpn_box_targets": offsets,
        }

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute the losses of the proposals (score, box) and of the heads (class, box).

        Which proposals the heads learn from is drawn anew in each call. ``training`` False leaves running
        statistics and uses them; the heads' samples are drawn all the same.
        """
        with nullcontext() if training else fixed_statistics(self.model):
            outputs = self._run(pixels, training=True, targets=targets)  # the model samples only so
        losses = self._task.build_losses(outputs, targets)
        names = ("rpn_score_loss", "rpn_box_loss", "frcnn_cls_loss", "frcnn_box_loss")
        return {name: losses[name] for name in names}

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the best pairs of box and class, at most 1000, before any suppression of the heads' boxes."""
        outputs = self._run(pixels, training=False)
        boxes, scores = outputs["decoded_boxes"], outputs["decoded_box_scores"]
        if boxes.shape[2] == 1:  # one box for all classes: the rows are what the contract wants
            has_area = tf.reduce_all(boxes[:, :, 0, 2:] > boxes[:, :, 0, :2], axis=-1, keepdims=True)
            return boxes[:, :, 0] / self.input_px, tf.where(has_area, scores, 0.0)
        return keep_best_pairs(boxes, scores, canvas_px=self.input_px, pairs=_PAIRS)

    def _run(self, pixels: Tensors, *, training: bool, targets: Tensors = None) -> dict[str, Tensors]:
        batch = tf.shape(pixels)[0]
        placed = {k: tf.tile(v[None], [batch, 1, 1, 1]) for k, v in self._anchors.list_boxes().items()}
        truth = {} if targets is None else {name: targets[name] for name in ("gt_boxes", "gt_classes")}
        outputs = self.model(
            normalise_pixels(pixels),
            image_shape=measure_canvas(pixels),
            anchor_boxes=placed,
            training=training,
            **truth,
        )
        return cast_outputs(outputs)


def build_detector(request: FamilyRequest) -> FasterRcnnDetector:
    """Build a Faster R-CNN as the settings say, ResNet-50 by default; as ``cascade_rcnn`` with three heads.

    Raises ``SettingsError`` for settings that the garden can't follow, ``ModelError`` for weights.
    """
    settings = request.settings
    pyramid = describe_pyramid(settings, default_backbone=_BACKBONE, default_levels=_LEVELS)
    anchors = choose_anchors(
        settings.anchors,
        request.boxes_wh_norm,
        levels=pyramid.levels,
        canvas_px=settings.input_px,
        octaves=1,
        default_size=_ANCHOR_SIZE,
    )
    config = _describe_model(request, pyramid, anchors)
    detector = FasterRcnnDetector(
        maskrcnn.MaskRCNNTask(configs.MaskRCNNTask(model=config)), anchors, request.class_count
    )
    load_garden_weights(detector.model, detector.model.checkpoint_items, settings.weights)
    return detector


def _describe_model(request: FamilyRequest, pyramid: Pyramid, anchors: Anchors) -> configs.MaskRCNN:
    settings = request.settings
    width, depth = settings.pyramid_width, settings.head_depth
    is_cascade = settings.architecture == "cascade_rcnn"
    heads: dict[str, Any] = {"use_separable_conv": pyramid.is_mobile}
    if width is not None:
        heads["num_filters"] = width
    if depth is not None:
        heads["num_convs"] = depth
    # The garden's fully connected layer is four times as wide as its pyramid.
    fc = {} if width is None else {"fc_dims": 4 * width}
    cascade = {"class_agnostic_bbox_pred": True, "cascade_class_ensemble": True} if is_cascade else {}
    anchor_count = sum(boxes.shape[0] * boxes.shape[1] for boxes in anchors.list_boxes().values())
    proposals = min(_PROPOSALS, anchor_count * anchors.per_cell)
    return configs.MaskRCNN(
        num_classes=request.class_count + 1,  # class 0 is the background
        input_size=[settings.input_px, settings.input_px, 3],
        min_level=pyramid.levels[0],
        max_level=pyramid.levels[1],
        anchor=configs.Anchor(num_scales=len(anchors.sizes), aspect_ratios=list(anchors.aspect_ratios)),
        include_mask=False,
        mask_head=None,
        mask_sampler=None,
        mask_roi_aligner=None,
        backbone=pyramid.backbone,
        decoder=pyramid.decoder,
        norm_activation=pyramid.norm_activation,
        rpn_head=configs.RPNHead(**heads),
        detection_head=configs.DetectionHead(**heads, **fc, **cascade),
        roi_generator=configs.ROIGenerator(num_proposals=proposals, test_num_proposals=proposals),
        roi_sampler=configs.ROISampler(
            num_sampled_rois=min(_SAMPLED, proposals),
            cascade_iou_thresholds=_CASCADE_IOUS if is_cascade else None,
        ),
        detection_generator=configs.DetectionGenerator(apply_nms=False),
    )


class _AnyBatchSampler(box_sampler.BoxSampler):  # type: ignore[misc]
    """The garden's sampler for batches of any size; its own counts them when it is traced."""

    def call(self, positive_matches: Tensors, negative_matches: Tensors, ignored_matches: Tensors) -> Tensors:
        """Sample each picture by itself; bool [B, N] each, returns indices int32 [B, K]."""
        sample_one = super().call
        return tf.map_fn(
            lambda row: sample_one(*(each[None] for each in row))[0],
            (positive_matches, negative_matches, ignored_matches),
            fn_output_signature=tf.TensorSpec([self._config_dict["num_samples"]], tf.int32),
        )
