"""RetinaNet over any backbone: KerasHub's pyramid and heads, with anchors, targets and losses that learn.

Owns the family (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017). What KerasHub 0.32's own
detector does differently, and why not so here, is in docs/decisions/0010-families.md.
"""

import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf
from keras import layers
from keras_hub.src.models.retinanet.feature_pyramid import FeaturePyramid
from keras_hub.src.models.retinanet.prediction_head import PredictionHead

from detector.errors import SettingsError
from detector.training.families.anchor_targets import IGNORED, encode_anchors
from detector.training.families.anchors import AnchorGrid, decode_boxes, fit_aspect_ratios, fit_sizes
from detector.training.families.backbones import Backbone, build_backbone, list_stages, read_levels
from detector.training.families.candidates import keep_candidates
from detector.training.families.dense_losses import compute_focal
from detector.training.families.family import FamilyRequest, Model, Tensors
from detector.training.families.presets import is_preset_of, load_preset_retinanet
from detector.training.families.weights import load_run_weights, locate_weights
from detector.training.train_settings import NetworkSettings

_BACKBONE = "resnet_18"
_LEVELS = (3, 7)
_PYRAMID_WIDTH = 128
_HEAD_DEPTH = 2
_NORM_GROUPS = 32  # KerasHub's heads have no other number
_COARSEST_OF_BACKBONES = 5
_PRIOR = 0.01
_LOGITS_DEVIATION = 0.01
_HUBER_DELTA = 0.1
_BOX_WEIGHT = 50.0
_CERTAIN = 30.0


class RetinaNetDetector:
    """A RetinaNet; see ``families.family.Detector``."""

    keras: ModuleType = keras

    def __init__(
        self, model: Model, grid: AnchorGrid, *, class_count: int, backbone_stages: Sequence[Sequence[Any]]
    ) -> None:
        self.model, self.grid = model, grid
        self.input_px, self.class_count = grid.canvas_px, class_count
        self.backbone_stages = backbone_stages
        self._anchors = grid.list_anchors()

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Say what each anchor should answer; see ``anchor_targets.encode_anchors``."""
        return encode_anchors(boxes_yxyx_norm * self.input_px, class_ids, self._anchors)

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute class and box losses of a batch."""
        return compute_retinanet_losses(targets, self.model(pixels, training=training))

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the best anchors' boxes, and scores by class."""
        return self.decode_outputs(self.model(pixels, training=False))

    def decode_outputs(self, outputs: Mapping[str, Tensors]) -> tuple[Tensors, Tensors]:
        """Turn what the network gives into boxes_yxyx_norm, inside the canvas, and scores."""
        boxes = decode_boxes(outputs["codes"], self._anchors) / self.input_px
        return keep_candidates(tf.clip_by_value(boxes, 0.0, 1.0), tf.sigmoid(outputs["logits"]))


def build_detector(request: FamilyRequest) -> RetinaNetDetector:
    """Build a RetinaNet as the settings say; random weights come from Keras's own seed.

    A KerasHub preset of a RetinaNet gives its backbone and its pyramid, and the heads are new.
    """
    settings = request.settings
    source = locate_weights(settings.weights)
    whole = source.kind == "preset" and is_preset_of(source.place, "RetinaNetBackbone")
    pyramid = _load_pyramid(settings) if whole else _build_pyramid(settings)
    grid = _choose_anchors(request, tuple(pyramid.levels))
    model = build_network(
        pyramid,
        grid,
        class_count=request.class_count,
        depth=settings.head_depth or _HEAD_DEPTH,
    )
    if source.kind == "run":
        load_run_weights(model, source.path)
    return RetinaNetDetector(model, grid, class_count=request.class_count, backbone_stages=pyramid.stages)


def build_network(pyramid: Backbone, grid: AnchorGrid, *, class_count: int, depth: int) -> keras.Model:
    """Build the network over a pyramid whose maps, one for each level of the grid, have one width.

    Input: the pyramid's. Outputs by name: ``logits`` float32 [B, A, class_count], ``codes`` [B, A, 4].
    """
    width = pyramid.maps[grid.levels[0]].shape[-1]
    if width % _NORM_GROUPS:
        raise SettingsError(f"model.pyramid_width is {width}: retinanet takes multiples of {_NORM_GROUPS}")
    shapes = grid.shapes_per_cell
    heads = {"logits": class_count, "codes": 4}
    outputs, maps = {}, pyramid.maps
    for name, channels in heads.items():
        head = _build_head(shapes * channels, width, depth, name)
        answers = [layers.Reshape((-1, channels))(head(maps[level])) for level in grid.levels]
        outputs[name] = layers.Concatenate(axis=1, dtype="float32", name=name)(answers)
    return keras.Model(pyramid.model.input, outputs, name="retinanet")


def compute_retinanet_losses(
    targets: Mapping[str, Tensors], outputs: Mapping[str, Tensors]
) -> dict[str, Tensors]:
    """Compute the losses of a batch: focal over all anchors but the ignored, Huber over those with objects.

    ``targets`` as ``anchor_targets.encode_anchors`` gives them, ``outputs`` as the network does. Both are
    sums, divided by the number of anchors with objects (at least 1).
    """
    class_ids = targets["class_ids"]
    positive = tf.cast(class_ids > 0, tf.float32)
    count = tf.maximum(tf.reduce_sum(positive), 1.0)
    wanted = tf.one_hot(class_ids - 1, outputs["logits"].shape[-1])
    looked_at = tf.cast(class_ids != IGNORED, tf.float32)[..., None]
    # An ignored anchor is certain of what is wanted of it, so that its loss and gradient are 0.
    logits = outputs["logits"] * looked_at - (1 - looked_at) * _CERTAIN
    huber = keras.losses.huber(targets["codes"], outputs["codes"], delta=_HUBER_DELTA)
    return {
        "class_loss": compute_focal(wanted, logits) / count,
        "box_loss": _BOX_WEIGHT * tf.reduce_sum(huber * positive) / count,
    }


def _build_head(channels: int, width: int, depth: int, name: str) -> PredictionHead:
    head = PredictionHead(channels, width, depth, use_group_norm=True, name=f"{name}_head")
    head.build((None, None, None, width))
    # KerasHub gives the prior to the boxes' head. Without it, background drowns the rest (section 3.3).
    bias = -math.log((1 - _PRIOR) / _PRIOR) if name == "logits" else 0.0
    kernel = keras.initializers.RandomNormal(stddev=_LOGITS_DEVIATION)
    last = head.prediction_layer
    last.kernel.assign(kernel(last.kernel.shape))
    last.bias.assign(tf.fill(last.bias.shape, bias))
    return head


def _build_pyramid(settings: NetworkSettings) -> Backbone:
    finest, coarsest = settings.levels or _LEVELS
    width = settings.pyramid_width or _PYRAMID_WIDTH
    name = settings.backbone
    if name is None and locate_weights(settings.weights).kind != "preset":
        name = _BACKBONE
    backbone = build_backbone(
        name,
        input_px=settings.input_px,
        levels=(finest, min(coarsest, _COARSEST_OF_BACKBONES)),
        weights=settings.weights,
    )
    # Not its BatchNorm: it takes the epsilon as momentum.
    pyramid = FeaturePyramid(finest, coarsest, use_p5=False, num_filters=width, name="pyramid")
    return Backbone(keras.Model(backbone.model.input, pyramid(backbone.model.output)), backbone.stages)


def _load_pyramid(settings: NetworkSettings) -> Backbone:
    model, preprocess = load_preset_retinanet(str(settings.weights), settings.input_px)
    pixels = keras.Input(model.input_shape[1:], name="pixels")
    maps = model(preprocess(pixels))
    outputs = read_levels(maps)
    own = {"levels": (min(outputs), max(outputs)), "pyramid_width": next(iter(outputs.values())).shape[-1]}
    for key, value in {**own, "backbone": None}.items():
        given = getattr(settings, key)
        if given not in (None, value):
            raise SettingsError(
                f"model.{key} is {given}, but the preset {settings.weights} has {value or 'its own'}: "
                "leave it out"
            )
    return Backbone(keras.Model(pixels, maps), list_stages(model.get_layer("backbone")))


def _choose_anchors(request: FamilyRequest, levels: tuple[int, ...]) -> AnchorGrid:
    chosen, input_px = request.settings.anchors, request.settings.input_px
    sizes = chosen.sizes or fit_sizes(request.boxes_wh_norm, input_px, levels[0])
    ratios = chosen.aspect_ratios or fit_aspect_ratios(request.boxes_wh_norm)
    return AnchorGrid(input_px, levels, tuple(sizes), tuple(ratios))
