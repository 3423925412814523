"""FCOS, an anchor-free detector small enough to carry: every cell of a feature map says what it sees.

Owns one family of models by four functions: build the network, encode boxes as its targets, compute its
loss, decode its outputs. The method is Tian et al., "FCOS: Fully Convolutional One-Stage Object
Detection" (ICCV 2019), with centre sampling and GIoU as in its 2020 journal version. Knows a square
canvas of pixels in -1..1 only; resizing and non-maximum suppression are the exporter's.

A *location* is the centre of one cell; all levels' locations are listed row by row, finest level first.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BOX_CHANNELS = 5  # four distances and the centerness


@dataclass(frozen=True)
class FcosConfig:
    """What an FCOS is built from.

    ``widths`` are the channels after each halving of the canvas (strides 2, 4, 8, ...); ``levels`` are
    the exponents of the strides with a head, consecutive and ending with the last of ``widths``; an
    object belongs to the level whose ``reach_px`` is the first to hold its farthest side.
    """

    class_count: int
    canvas_px: int = 96
    widths: tuple[int, ...] = (24, 32, 64, 96)
    pyramid_width: int = 64
    levels: tuple[int, ...] = (3, 4)
    reach_px: tuple[float, ...] = (24.0, math.inf)
    centre_radius: float = 1.5

    @property
    def strides(self) -> tuple[int, ...]:
        """Give the pixels from one location to the next, for each level."""
        return tuple(2**level for level in self.levels)


def build_fcos(config: FcosConfig) -> keras.Model:
    """Build the network with random weights from Keras's own seed.

    Input float32 [B, canvas_px, canvas_px, 3] in -1..1. Output float32 [B, L, class_count + 5]: class
    logits; the distances to the top, left, bottom and right of the box, in strides, at least 0; the
    logit of the centerness.
    """
    pixels = keras.Input((config.canvas_px, config.canvas_px, 3), name="pixels")
    maps, features = [], pixels
    for width in config.widths:
        features = _convolve(features, width, stride=2)
        features = layers.add([features, _convolve(features, width)])
        maps.append(features)
    heads = _build_heads(config)
    outputs: list[Any] = []
    above: Any = None
    for level in reversed(config.levels):
        lateral = layers.Conv2D(config.pyramid_width, 1, name=f"lateral_{level}")(maps[level - 1])
        above = lateral if above is None else layers.add([lateral, layers.UpSampling2D()(above)])
        merged = layers.Conv2D(config.pyramid_width, 3, padding="same", name=f"merged_{level}")(above)
        outputs.insert(0, layers.Reshape((-1, config.class_count + BOX_CHANNELS))(heads(merged)))
    return keras.Model(pixels, layers.Concatenate(axis=1, name="locations")(outputs), name="fcos")


def encode_targets(
    boxes_yxyx_norm: FloatArray, class_ids: NDArray[np.int32], config: FcosConfig
) -> FloatArray:
    """Say what every location should answer for the boxes of one canvas.

    Boxes float32 [N, 4] in fractions of the canvas, class_ids int32 [N] from 1; N may be 0. Returns
    float32 [L, class_count + 5]: the class one-hot (all 0: background), the four distances in strides, the
    centerness. A location inside several boxes answers for the smallest (section 3.1 of the paper), and
    for a box only within ``centre_radius`` strides of its centre. A long box thinner than the stride of
    its level may lie between locations and then has none, as in the paper.

    >>> config = FcosConfig(class_count=2, canvas_px=16, levels=(3, 4))
    >>> encode_targets(np.array([[0.0, 0.0, 0.5, 0.5]], np.float32), np.array([2]), config)[0].tolist()
    [0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 1.0]
    """
    points, strides = _list_locations(config)
    targets = np.zeros((len(points), config.class_count + BOX_CHANNELS), np.float32)
    if len(boxes_yxyx_norm) == 0:
        return targets
    boxes = boxes_yxyx_norm * config.canvas_px
    sides = np.concatenate([points[:, None] - boxes[:, :2], boxes[:, 2:] - points[:, None]], axis=-1)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = np.abs(points[:, None] - centres).max(axis=-1) < config.centre_radius * strides
    reaches = dict(zip(config.strides, config.reach_px, strict=True))
    highest = np.array([reaches[int(stride)] for stride in strides[:, 0]])[:, None]
    lowest = np.array([_find_lowest(int(stride), config) for stride in strides[:, 0]])[:, None]
    farthest = sides.max(axis=-1)
    fits = near & (sides.min(axis=-1) > 0) & (farthest > lowest) & (farthest <= highest)
    areas = np.where(fits, (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1), np.inf)
    chosen, positive = areas.argmin(axis=1), fits.any(axis=1)
    own = sides[np.arange(len(points)), chosen][positive]
    targets[positive, class_ids[chosen[positive]] - 1] = 1
    targets[positive, config.class_count : -1] = own / strides[positive]
    low, high = np.minimum(own[:, :2], own[:, 2:]), np.maximum(own[:, :2], own[:, 2:])
    targets[positive, -1] = np.sqrt((low / high).prod(axis=-1))
    return targets


def compute_loss(targets: Any, outputs: Any) -> Any:  # noqa: ANN401 (tensors of Keras's backend)
    """Compute the loss of a batch: focal, GIoU weighted by the centerness, and the centerness's own.

    Both float32 [B, L, class_count + 5], as ``encode_targets`` and ``build_fcos`` give them. Returns a
    scalar, the sum over all locations divided by the number of positive ones (at least 1). Focal loss:
    Lin et al. 2017, alpha .25, gamma 2; GIoU: Rezatofighi et al. 2019.
    """
    wanted, distances, centerness = targets[..., :-5], targets[..., -5:-1], targets[..., -1]
    logits, predicted, centre_logits = outputs[..., :-5], outputs[..., -5:-1], outputs[..., -1]
    positive = ops.max(wanted, axis=-1)
    count = ops.maximum(ops.sum(positive), 1.0)
    weight = ops.maximum(ops.sum(centerness), 1e-6)
    focal = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True, reduction=None
    )(wanted[..., None], logits[..., None])
    entropy = ops.binary_crossentropy(centerness, centre_logits, from_logits=True)
    box = ops.sum(centerness * (1 - _compute_giou(distances, predicted))) / weight
    return ops.sum(focal) / count + box + ops.sum(positive * entropy) / count


def decode_boxes(outputs: Any, config: FcosConfig) -> tuple[Any, Any]:  # noqa: ANN401 (tensors)
    """Turn outputs [B, L, class_count + 5] into boxes and scores, before any suppression.

    Returns boxes_yxyx_norm float32 [B, L, 4] in fractions of the canvas, not clipped, and scores
    float32 [B, L, class_count] in 0..1: class probability times centerness.
    """
    points, strides = _list_locations(config)
    distances = outputs[..., -5:-1] * strides
    boxes = ops.concatenate([points - distances[..., :2], points + distances[..., 2:]], axis=-1)
    scores = ops.sigmoid(outputs[..., :-5]) * ops.sigmoid(outputs[..., -1:])
    return boxes / config.canvas_px, scores


def _convolve(features: Any, width: int, *, stride: int = 1) -> Any:  # noqa: ANN401 (tensors)
    features = layers.Conv2D(width, 3, stride, padding="same", use_bias=False)(features)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(features))


def _build_heads(config: FcosConfig) -> keras.Model:
    # One head for all levels; GroupNorm, because levels differ too much to share batch statistics.
    features = keras.Input((None, None, config.pyramid_width))
    towers = []
    for name in ("class_tower", "box_tower"):
        tower = layers.Conv2D(config.pyramid_width, 3, padding="same", use_bias=False, name=name)(features)
        towers.append(layers.ReLU()(layers.GroupNormalization(8, name=f"{name}_norm")(tower)))
    # A first guess of .01 keeps the many background locations from drowning the rest (Lin et al. 2017).
    prior = keras.initializers.Constant(-math.log(99))
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    options: dict[str, Any] = {"padding": "same", "kernel_initializer": near_zero}
    classes = layers.Conv2D(config.class_count, 3, bias_initializer=prior, name="classes", **options)(
        towers[0]
    )
    sides = layers.Conv2D(4, 3, bias_initializer="ones", activation="softplus", name="sides", **options)(
        towers[1]
    )
    centerness = layers.Conv2D(1, 3, name="centerness", **options)(towers[1])
    return keras.Model(features, layers.Concatenate()([classes, sides, centerness]), name="heads")


def _list_locations(config: FcosConfig) -> tuple[FloatArray, FloatArray]:
    # Returns the locations (y, x) in canvas pixels [L, 2] and the stride of each [L, 1].
    points, strides = [], []
    for stride in config.strides:
        steps = (np.arange(config.canvas_px // stride, dtype=np.float32) + 0.5) * stride
        grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        points.append(grid)
        strides.append(np.full((len(grid), 1), stride, np.float32))
    return np.concatenate(points), np.concatenate(strides)


def _find_lowest(stride: int, config: FcosConfig) -> float:
    position = config.strides.index(stride)
    return 0.0 if position == 0 else config.reach_px[position - 1]


def _compute_giou(distances_a: Any, distances_b: Any) -> Any:  # noqa: ANN401 (tensors)
    # Both [..., 4] from one point, so that minima of distances make the intersection, maxima the hull.
    shared, hull = ops.minimum(distances_a, distances_b), ops.maximum(distances_a, distances_b)
    intersection = _area(shared)
    union = _area(distances_a) + _area(distances_b) - intersection
    enclosing = _area(hull)
    tiny = 1e-7
    return intersection / (union + tiny) - (enclosing - union) / (enclosing + tiny)


def _area(distances: Any) -> Any:  # noqa: ANN401 (tensors)
    return (distances[..., 0] + distances[..., 2]) * (distances[..., 1] + distances[..., 3])
