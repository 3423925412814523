"""FCOS, an anchor-free detector that may be very small: every cell of a feature map says what it sees.

Owns the family: a pyramid over any backbone, one head for all levels, and the loss. The method is Tian et
al., "FCOS" (ICCV 2019); ``fcos_locations`` has its geometry.
"""

import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import keras
from keras import layers, ops

from detector.errors import SettingsError
from detector.training.families.backbones import Backbone, build_backbone
from detector.training.families.dense_losses import compute_focal, compute_giou
from detector.training.families.family import FamilyRequest, Tensors
from detector.training.families.fcos_locations import (
    BOX_CHANNELS,
    LocationGrid,
    decode_locations,
    encode_locations,
)
from detector.training.families.weights import locate_weights

_BACKBONE = "plain"
_LEVELS = (3, 5)
_PYRAMID_WIDTH = 96
_HEAD_DEPTH = 2
_NORM_GROUPS = 8


class FcosDetector:
    """An FCOS; see ``families.family.Detector``."""

    keras: ModuleType = keras

    def __init__(self, backbone: Backbone, grid: LocationGrid, *, width: int, depth: int) -> None:
        self.input_px, self.class_count = grid.canvas_px, grid.class_count
        self.model = build_network(backbone, grid, width=width, depth=depth)
        self._grid, self._backbone = grid, backbone

    @property
    def backbone_stages(self) -> Sequence[Sequence[Any]]:
        """List the backbone's layers by stage."""
        return self._backbone.stages

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Say what each location should answer: float32 [B, L, class_count + 5]."""
        return encode_locations(boxes_yxyx_norm, class_ids, self._grid)

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute class, box and centerness losses of a batch."""
        return compute_fcos_losses(targets, self.model(pixels, training=training))

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the box and the scores of every location."""
        return decode_locations(self.model(pixels, training=False), self._grid)


def build_detector(request: FamilyRequest) -> FcosDetector:
    """Build an FCOS as the settings say; random weights come from Keras's own seed."""
    settings = request.settings
    finest, coarsest = settings.levels or _LEVELS
    if not 2 <= finest <= coarsest:  # noqa: PLR2004 (stride 4)
        raise SettingsError(
            f"model.levels is [{finest}, {coarsest}]: fcos takes two from 2 up, in this order"
        )
    if settings.anchors.sizes is not None or settings.anchors.aspect_ratios is not None:
        raise SettingsError("model.anchors: fcos has no anchors; leave them out, or take retinanet")
    brings_network = locate_weights(settings.weights).kind == "preset"
    backbone = build_backbone(
        settings.backbone or (None if brings_network else _BACKBONE),
        input_px=settings.input_px,
        levels=(finest, coarsest),
        weights=settings.weights,
    )
    grid = LocationGrid(request.class_count, settings.input_px, tuple(range(finest, coarsest + 1)))
    return FcosDetector(
        backbone,
        grid,
        width=settings.pyramid_width or _PYRAMID_WIDTH,
        depth=settings.head_depth or _HEAD_DEPTH,
    )


def build_network(backbone: Backbone, grid: LocationGrid, *, width: int, depth: int) -> keras.Model:
    """Build the network over a backbone that gives the grid's levels.

    Input: the backbone's. Output float32 [B, L, class_count + 5]: class logits; the distances to the top,
    left, bottom and right of the box, in strides, at least 0; the logit of the centerness.
    """
    maps = backbone.maps
    heads = _build_heads(grid.class_count, width, depth)
    outputs: list[Any] = []
    above: Any = None
    for level in reversed(grid.levels):
        lateral = layers.Conv2D(width, 1, name=f"lateral_{level}")(maps[level])
        above = lateral if above is None else layers.add([lateral, layers.UpSampling2D()(above)])
        merged = layers.Conv2D(width, 3, padding="same", name=f"merged_{level}")(above)
        outputs.insert(0, layers.Reshape((-1, grid.class_count + BOX_CHANNELS))(heads(merged)))
    joined = layers.Concatenate(axis=1, name="locations", dtype="float32")(outputs)
    return keras.Model(backbone.model.input, joined, name="fcos")


def compute_fcos_losses(targets: Tensors, outputs: Tensors) -> dict[str, Tensors]:
    """Compute the losses of a batch: focal, GIoU weighted by the centerness, and the centerness's own.

    Both float32 [B, L, class_count + 5]. Sums over all locations, divided by the number of positive ones (at
    least 1); the boxes' by the sum of their weights.
    """
    wanted, distances, centerness = targets[..., :-5], targets[..., -5:-1], targets[..., -1]
    logits, predicted, centre_logits = outputs[..., :-5], outputs[..., -5:-1], outputs[..., -1]
    positive = ops.max(wanted, axis=-1)
    count = ops.maximum(ops.sum(positive), 1.0)
    weight = ops.maximum(ops.sum(centerness), 1e-6)
    entropy = ops.binary_crossentropy(centerness, centre_logits, from_logits=True)
    return {
        "class_loss": compute_focal(wanted, logits) / count,
        "box_loss": ops.sum(centerness * (1 - compute_giou(distances, predicted))) / weight,
        "centerness_loss": ops.sum(positive * entropy) / count,
    }


def _build_heads(class_count: int, width: int, depth: int) -> keras.Model:
    # One head for all levels; GroupNorm, because levels differ too much to share batch statistics.
    features = keras.Input((None, None, width))
    class_tower, box_tower = (_build_tower(features, name, width, depth) for name in ("class", "box"))
    # A first guess of .01 keeps the many background locations from drowning the rest (Lin et al. 2017).
    prior = keras.initializers.Constant(-math.log(99))
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    options: dict[str, Any] = {"padding": "same", "kernel_initializer": near_zero, "dtype": "float32"}
    classes = layers.Conv2D(class_count, 3, bias_initializer=prior, name="classes", **options)(class_tower)
    sides = layers.Conv2D(4, 3, bias_initializer="ones", activation="softplus", name="sides", **options)(
        box_tower
    )
    centerness = layers.Conv2D(1, 3, name="centerness", **options)(box_tower)
    joined = layers.Concatenate(dtype="float32")([classes, sides, centerness])
    return keras.Model(features, joined, name="heads")


def _build_tower(features: Any, name: str, width: int, depth: int) -> Any:  # noqa: ANN401 (tensors)
    for number in range(depth):
        suffix = f"{name}_tower" if depth == 1 else f"{name}_tower_{number}"
        features = layers.Conv2D(width, 3, padding="same", use_bias=False, name=suffix)(features)
        groups = math.gcd(width, _NORM_GROUPS)
        features = layers.ReLU()(layers.GroupNormalization(groups, name=f"{suffix}_norm")(features))
    return features
