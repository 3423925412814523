"""D-FINE over any backbone: KerasHub's encoder and decoder, with losses that learn.

Owns the family (Peng et al., "D-FINE", ICLR 2025): each of some hundred queries finds one object or none, so
nothing overlaps by design. KerasHub 0.32's own loss isn't used; docs/decisions/0010-families.md says why.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf
from keras_hub.models import DFineBackbone
from keras_hub.src.models.d_fine.d_fine_utils import weighting_function

from detector.errors import SettingsError
from detector.training.families.backbones import build_backbone
from detector.training.families.d_fine_losses import BINS, EdgeScale, Layer, Objects, compute_d_fine_losses
from detector.training.families.d_fine_network import ATTENTION_HEADS, build_network, load_network
from detector.training.families.family import FamilyRequest, Model, Tensors
from detector.training.families.presets import is_preset_of
from detector.training.families.weights import load_run_weights, locate_weights

_BACKBONE = "resnet_18"
_LEVELS = (3, 5)
_WIDTH = 256
_DECODER_LAYERS = 3
_OUTPUTS = (
    "intermediate_logits", "intermediate_reference_points", "intermediate_predicted_corners",
    "initial_reference_points", "enc_topk_logits", "enc_topk_bboxes",
)  # fmt: skip


class DFineDetector:
    """A D-FINE; see ``families.family.Detector``."""

    keras: ModuleType = keras

    def __init__(
        self, model: Model, network: DFineBackbone, *, input_px: int, backbone_stages: Sequence[Sequence[Any]]
    ) -> None:
        self.model, self.input_px, self.class_count = model, input_px, network.num_labels
        self.backbone_stages = backbone_stages
        self._decoder = network.decoder

    def encode_targets(self, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> Tensors:
        """Give boxes_cxcywh_norm float32 [B, M, 4] and class_ids int32 [B, M]: queries are matched later."""
        low, high = boxes_yxyx_norm[..., :2], boxes_yxyx_norm[..., 2:]
        boxes = tf.concat([((low + high) / 2)[..., ::-1], (high - low)[..., ::-1]], axis=-1)
        return {"boxes": boxes, "class_ids": class_ids}

    def compute_losses(self, pixels: Tensors, targets: Tensors, *, training: bool) -> Mapping[str, Tensors]:
        """Compute the losses of a batch; see ``d_fine_losses``."""
        layers = list_layers(self.model(pixels, training=training))
        objects = Objects(
            targets["boxes"],
            tf.one_hot(targets["class_ids"] - 1, self.class_count),
            targets["class_ids"] > 0,
        )
        return compute_d_fine_losses(layers, objects, self._read_edge_scale())

    def decode(self, pixels: Tensors) -> tuple[Tensors, Tensors]:
        """Give the box and the scores of every query of the last layer."""
        return decode_layer(list_layers(self.model(pixels, training=False))[-1])

    def _read_edge_scale(self) -> EdgeScale:
        scale = tf.cast(tf.convert_to_tensor(self._decoder.reg_scale), tf.float32)
        factor = tf.cast(tf.convert_to_tensor(self._decoder.upsampling_factor), tf.float32)
        return EdgeScale(tf.stop_gradient(weighting_function(BINS - 1, factor, scale)), scale)


def build_detector(request: FamilyRequest) -> DFineDetector:
    """Build a D-FINE as the settings say; random weights come from Keras's own seed.

    A KerasHub preset of a D-FINE gives all but the layers that know classes, which are new.
    """
    settings = request.settings
    if settings.anchors.sizes is not None or settings.anchors.aspect_ratios is not None:
        raise SettingsError("model.anchors: d_fine has no anchors; leave them out, or take retinanet")
    if keras.config.dtype_policy().compute_dtype == "float16":
        raise SettingsError(
            "fit.precision: KerasHub's D-FINE can't compute in float16 on TensorFlow; take mixed_bfloat16"
        )
    source = locate_weights(settings.weights)
    whole = source.kind == "preset" and is_preset_of(source.place, "DFineBackbone")
    network, stages, preprocess = _load_network(request) if whole else _build_over_backbone(request)
    if request.max_boxes > network.num_queries:
        raise SettingsError(
            f"a picture has {request.max_boxes} boxes, but d_fine at model.input_px {settings.input_px} "
            f"finds at most {network.num_queries}: take a larger canvas, finer model.levels, or retinanet"
        )
    pixels = keras.Input((settings.input_px, settings.input_px, 3), name="pixels")
    outputs = network(preprocess(pixels))
    model = keras.Model(pixels, {name: outputs[name] for name in _OUTPUTS}, name="d_fine")
    if source.kind == "run":
        load_run_weights(model, source.path)
    return DFineDetector(model, network, input_px=settings.input_px, backbone_stages=stages)


def list_layers(outputs: Mapping[str, Tensors]) -> list[Layer]:
    """List what the network's layers say, in order: the encoder's choice, the first guess, the decoder's."""
    outputs = {name: tf.cast(values, tf.float32) for name, values in outputs.items()}
    logits = tf.unstack(outputs["intermediate_logits"], axis=1)
    boxes = tf.unstack(outputs["intermediate_reference_points"], axis=1)
    edges = tf.unstack(outputs["intermediate_predicted_corners"], axis=1)
    references = tf.unstack(outputs["initial_reference_points"], axis=1)
    decoder = [Layer(*each) for each in zip(logits, boxes, edges, references, strict=True)]
    # The first of them is the guess that the first layer's distributions start from: it has none itself.
    first_guess = Layer(decoder[0].logits, decoder[0].boxes)
    return [Layer(outputs["enc_topk_logits"], outputs["enc_topk_bboxes"]), first_guess, *decoder[1:]]


def decode_layer(layer: Layer) -> tuple[Tensors, Tensors]:
    """Turn what a layer says into boxes_yxyx_norm [B, Q, 4], inside the canvas, and scores [B, Q, C]."""
    centres, sides = layer.boxes[..., 1::-1], layer.boxes[..., :1:-1]
    boxes = tf.concat([centres - sides / 2, centres + sides / 2], axis=-1)
    return tf.clip_by_value(boxes, 0.0, 1.0), tf.sigmoid(layer.logits)


def _build_over_backbone(request: FamilyRequest) -> tuple[DFineBackbone, Sequence[Sequence[Any]], Any]:
    settings = request.settings
    name = settings.backbone
    if name is None and locate_weights(settings.weights).kind != "preset":
        name = _BACKBONE
    levels = settings.levels or _LEVELS
    backbone = build_backbone(name, input_px=settings.input_px, levels=levels, weights=settings.weights)
    width = settings.pyramid_width or _WIDTH
    if width % ATTENTION_HEADS:
        raise SettingsError(f"model.pyramid_width is {width}: d_fine takes multiples of {ATTENTION_HEADS}")
    network = build_network(
        backbone.model,
        backbone.levels,
        class_count=request.class_count,
        width=width,
        decoder_layers=settings.head_depth or _DECODER_LAYERS,
    )
    return network, backbone.stages, lambda pixels: pixels


def _load_network(request: FamilyRequest) -> tuple[DFineBackbone, Sequence[Sequence[Any]], Any]:
    settings = request.settings
    for key in ("backbone", "levels", "pyramid_width", "head_depth"):
        if getattr(settings, key) is not None:
            raise SettingsError(
                f"model.{key} is {getattr(settings, key)}, but the preset {settings.weights} has its own: "
                "leave it out"
            )
    network, preprocess = load_network(str(settings.weights), settings.input_px, request.class_count)
    body = network.backbone
    stages = [[body.embedder_layer], *([stage] for stage in body.encoder_layer.stages_list)]
    return network, stages, preprocess
