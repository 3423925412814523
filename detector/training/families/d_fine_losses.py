"""D-FINE's losses, over objects matched one to one.

Owns the formulas of Peng et al., "D-FINE: Redefine Regression Task in DETRs as Fine-grained Distribution
Refinement" (ICLR 2025), section 4, with their weights: varifocal classes, L1 and GIoU of boxes, the
distributions of their edges, and each layer's distributions learning from the last layer's. Every layer is
matched by itself. Boxes are ``boxes_cxcywh_norm``: centre and sides in fractions of the canvas.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from detector.training.families.assignment import assign_objects

Tensors = Any  # TensorFlow ships no types
BINS = 33  # of an edge's distribution, as KerasHub's decoder has them
_WEIGHTS = {"class_loss": 1.0, "box_loss": 5.0, "giou_loss": 2.0, "edge_loss": 0.15, "distillation_loss": 1.5}
_COST_CLASS, _COST_BOX, _COST_GIOU = 2.0, 5.0, 2.0
_ALPHA, _COST_ALPHA, _GAMMA = 0.75, 0.25, 2.0
_TEMPERATURE = 5.0
_TINY = 1e-7


@dataclass(frozen=True)
class Objects:
    """What there is: boxes_cxcywh_norm [B, M, 4], one-hot classes [B, M, C], and ``real`` bool [B, M]."""

    boxes: Tensors
    classes: Tensors
    real: Tensors

    @property
    def count(self) -> Tensors:
        """Count the objects of the batch, at least 1."""
        return tf.maximum(tf.reduce_sum(tf.cast(self.real, tf.float32)), 1.0)


@dataclass(frozen=True)
class Layer:
    """What one layer says of Q queries: logits [B, Q, C], boxes_cxcywh_norm [B, Q, 4].

    Layers of the decoder also give logits of the four edges' distributions, [B, Q, 4 * 33], around
    ``references`` [B, Q, 4], boxes_cxcywh_norm.
    """

    logits: Tensors
    boxes: Tensors
    edges: Tensors | None = None
    references: Tensors | None = None


@dataclass(frozen=True)
class EdgeScale:
    """How an edge's distribution is read: distances of its bins [33], and the decoder's scale."""

    distances: Tensors
    scale: Tensors


def compute_d_fine_losses(layers: list[Layer], objects: Objects, edges: EdgeScale) -> dict[str, Tensors]:
    """Compute the losses of a batch, each summed over layers and divided by the number of objects.

    ``layers`` in the network's order; the last is what decodes.
    """
    queries = match_layers(layers, objects)
    totals = dict.fromkeys(_WEIGHTS, tf.constant(0.0))
    for layer, matched in zip(layers, queries, strict=True):
        losses = _compute_layer_losses(layer, matched, objects, edges)
        if layer.edges is not None and layer is not layers[-1]:
            losses["distillation_loss"] = _compute_distillation(layer, layers[-1], matched, objects)
        for name, loss in losses.items():
            totals[name] += _WEIGHTS[name] * loss
    return totals


def match_layers(layers: list[Layer], objects: Objects) -> list[Tensors]:
    """Find for each layer the query [B, M] that answers for each object; all problems at once."""
    costs = tf.concat([_compute_costs(layer, objects) for layer in layers], axis=0)
    found = assign_objects(tf.stop_gradient(costs), tf.tile(objects.real, [len(layers), 1]))
    return list(tf.split(found, len(layers)))


def compute_giou(boxes_a: Tensors, boxes_b: Tensors) -> tuple[Tensors, Tensors]:
    """Compute IoU and generalised IoU of boxes_cxcywh [..., 4] that broadcast against each other."""
    low_a, high_a = boxes_a[..., :2] - boxes_a[..., 2:] / 2, boxes_a[..., :2] + boxes_a[..., 2:] / 2
    low_b, high_b = boxes_b[..., :2] - boxes_b[..., 2:] / 2, boxes_b[..., :2] + boxes_b[..., 2:] / 2
    shared = _area(tf.minimum(high_a, high_b) - tf.maximum(low_a, low_b))
    union = _area(boxes_a[..., 2:]) + _area(boxes_b[..., 2:]) - shared
    hull = _area(tf.maximum(high_a, high_b) - tf.minimum(low_a, low_b))
    iou = shared / (union + _TINY)
    return iou, iou - (hull - union) / (hull + _TINY)


def locate_edges(objects_boxes: Tensors, references: Tensors, edges: EdgeScale) -> tuple[Tensors, Tensors]:
    """Say where in the distributions the edges of boxes lie: the bin below int32 and the part above it.

    Both boxes_cxcywh_norm [..., 4]; returns [..., 4] for left, top, right, bottom (section 4.1 of the paper).
    """
    centre, sides = references[..., :2], tf.maximum(references[..., 2:], _TINY)
    low, high = (
        objects_boxes[..., :2] - objects_boxes[..., 2:] / 2,
        objects_boxes[..., :2] + objects_boxes[..., 2:] / 2,
    )
    unit = sides / edges.scale
    distances = (
        tf.concat([centre - low, high - centre], axis=-1) / tf.concat([unit, unit], axis=-1) - edges.scale / 2
    )
    distances = tf.clip_by_value(distances, edges.distances[0], edges.distances[-1])
    below = tf.reduce_sum(tf.cast(edges.distances <= distances[..., None], tf.int32), axis=-1) - 1
    below = tf.clip_by_value(below, 0, BINS - 2)
    left, right = tf.gather(edges.distances, below), tf.gather(edges.distances, below + 1)
    return below, (distances - left) / (right - left)


def _compute_layer_losses(
    layer: Layer, matched: Tensors, objects: Objects, edges: EdgeScale
) -> dict[str, Tensors]:
    real = tf.cast(objects.real, tf.float32)
    boxes = tf.gather(layer.boxes, matched, batch_dims=1)
    iou, giou = compute_giou(boxes, objects.boxes)
    iou = tf.stop_gradient(iou) * real
    losses = {
        "class_loss": _compute_varifocal(layer.logits, matched, iou, objects),
        "box_loss": tf.reduce_sum(tf.abs(boxes - objects.boxes) * real[..., None]),
        "giou_loss": tf.reduce_sum((1 - giou) * real),
    }
    if layer.edges is not None:
        logits = tf.reshape(tf.gather(layer.edges, matched, batch_dims=1), [*_lead(matched), 4, BINS])
        references = tf.stop_gradient(tf.gather(layer.references, matched, batch_dims=1))
        below, above = locate_edges(objects.boxes, references, edges)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
        edge = (1 - above) * entropy(below, logits) + above * entropy(below + 1, logits)
        losses["edge_loss"] = tf.reduce_sum(edge * iou[..., None])
    return {name: loss / objects.count for name, loss in losses.items()}


def _compute_varifocal(logits: Tensors, matched: Tensors, iou: Tensors, objects: Objects) -> Tensors:
    # Zhang et al., "VarifocalNet" (CVPR 2021): a matched query's class is as true as its box is good.
    chosen = tf.one_hot(matched, tf.shape(logits)[1]) * tf.cast(objects.real, tf.float32)[..., None]
    answers = tf.einsum("bmq,bmc->bqc", chosen, objects.classes)
    wanted = tf.einsum("bmq,bmc->bqc", chosen * iou[..., None], objects.classes)
    certainty = tf.sigmoid(tf.stop_gradient(logits))
    weights = _ALPHA * certainty**_GAMMA * (1 - answers) + wanted
    return tf.reduce_sum(weights * tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits))


def _compute_distillation(layer: Layer, last: Layer, matched: Tensors, objects: Objects) -> Tensors:
    # Section 4.2: matched queries weigh by IoU, the rest by the last layer's certainty, and the two kinds by
    # the roots of their numbers.
    shape = [*_lead(layer.logits), 4, BINS]
    student = tf.nn.log_softmax(tf.reshape(layer.edges, shape) / _TEMPERATURE)
    teacher = tf.nn.log_softmax(tf.stop_gradient(tf.reshape(last.edges, shape)) / _TEMPERATURE)
    divergence = tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=-1) * _TEMPERATURE**2
    real = tf.cast(objects.real, tf.float32)
    chosen = tf.one_hot(matched, shape[1]) * real[..., None]
    iou, _ = compute_giou(tf.gather(layer.boxes, matched, batch_dims=1), objects.boxes)
    is_matched = tf.reduce_max(chosen, axis=1)
    weights = tf.einsum("bmq,bm->bq", chosen, iou) + (1 - is_matched) * tf.reduce_max(
        tf.sigmoid(last.logits), axis=-1
    )
    losses = tf.reduce_mean(tf.stop_gradient(weights)[..., None] * divergence, axis=-1)
    total, parts = 0.0, 0.0
    for mask in (is_matched, 1 - is_matched):
        count = tf.reduce_sum(mask)
        total += tf.math.divide_no_nan(tf.reduce_sum(losses * mask), count) * tf.sqrt(count)
        parts += tf.sqrt(count)
    return total / parts


def _compute_costs(layer: Layer, objects: Objects) -> Tensors:
    # Float32 [B, M, Q]: DETR's costs with the focal form of Deformable DETR.
    certainty = tf.sigmoid(layer.logits)
    positive = _COST_ALPHA * (1 - certainty) ** _GAMMA * -tf.math.log(certainty + 1e-8)
    negative = (1 - _COST_ALPHA) * certainty**_GAMMA * -tf.math.log(1 - certainty + 1e-8)
    classes = tf.einsum("bmc,bqc->bmq", objects.classes, positive - negative)
    queries, boxes = layer.boxes[:, None], objects.boxes[:, :, None]
    distance = tf.reduce_sum(tf.abs(queries - boxes), axis=-1)
    _, giou = compute_giou(queries, boxes)
    return _COST_CLASS * classes + _COST_BOX * distance - _COST_GIOU * giou


def _lead(tensor: Tensors) -> tuple[Any, Any]:
    shape = tf.shape(tensor)
    return shape[0], tensor.shape[1] or shape[1]


def _area(sides: Tensors) -> Tensors:
    return tf.reduce_prod(tf.maximum(sides, 0.0), axis=-1)
