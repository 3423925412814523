"""D-FINE's network: KerasHub's, over any backbone or from a preset, and ready to learn new classes.

Owns its proportions and what its class layers begin with.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras_hub.models import DFineBackbone

from detector.training.families.family import Model
from detector.training.families.presets import Preprocess, find_preprocessing, open_preset, resize_encoder

ATTENTION_HEADS = 8
_QUERIES = 300
_PRIOR = 0.01


def build_network(
    backbone: Model, levels: Sequence[int], *, class_count: int, width: int, decoder_layers: int
) -> DFineBackbone:
    """Build KerasHub's D-FINE, in the proportions of its small size, over a model that gives P3 and so on.

    It is without its denoising queries: KerasHub takes their noise once and for all from the boxes that are
    there when the network is built.
    """
    names = [f"P{level}" for level in levels]
    maps = [backbone.output[name] for name in names]
    input_px = backbone.input_shape[1]
    locations = sum((input_px >> level) ** 2 for level in levels)
    network = _construct(
        backbone=backbone,
        out_features=names,
        image_shape=(input_px, input_px, 3),
        anchor_image_size=(input_px, input_px),
        feat_strides=[2**level for level in levels],
        num_feature_levels=len(levels),
        encoder_in_channels=[each.shape[-1] for each in maps],
        decoder_in_channels=[width] * len(levels),
        encode_proj_layers=[len(levels) - 1],
        encoder_hidden_dim=width,
        hidden_dim=width,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        num_attention_heads=ATTENTION_HEADS,
        decoder_attention_heads=ATTENTION_HEADS,
        num_encoder_layers=1,
        num_decoder_layers=decoder_layers,
        decoder_n_points=[4] * len(levels),
        hidden_expansion=0.5,
        depth_multiplier=0.34,
        eval_idx=-1,
        num_queries=min(_QUERIES, locations),
        num_labels=class_count,
        num_denoising=0,
        learn_initial_query=False,
        lqe_hidden_dim=64,
        num_lqe_layers=2,
    )
    set_class_priors(network)
    return network


def load_network(place: str, input_px: int, class_count: int) -> tuple[DFineBackbone, Preprocess]:
    """Load a preset's D-FINE for so many classes, and its pixels' way; what knows classes is new.

    Its canvas is built in, so that it is made again for ``input_px`` and takes over what fits. Raises
    ``ModelError`` for a preset that can't be loaded.
    """
    loaded = open_preset(place, input_px)
    shape = {"image_shape": (input_px, input_px, 3), "anchor_image_size": (input_px, input_px)}
    body = {"backbone": resize_encoder(loaded.backbone, input_px)}
    classes = {"num_labels": class_count, "labels": None}
    network = _construct(**{**loaded.get_config(), **shape, **body, **classes})
    set_class_priors(network)
    for variable, values in zip(network.weights, loaded.weights, strict=True):
        if variable.shape == values.shape:
            variable.assign(values)
    return network, find_preprocessing(place, otherwise="zero_to_one")


def set_class_priors(network: DFineBackbone) -> None:
    """Let every class begin at a probability of .01, in place.

    KerasHub has 1 / (classes + 1), which with few classes drowns the rest: 189 queries and four classes begin
    with a class loss of 113 instead of 2.
    """
    bias = -math.log((1 - _PRIOR) / _PRIOR)
    for layer in (network.enc_score_head, *network.decoder.class_embed):
        layer.bias.assign(tf.fill(layer.bias.shape, bias))


def _construct(**config: Any) -> DFineBackbone:  # noqa: ANN401 (KerasHub's own configuration)
    with warnings.catch_warnings():
        # Of its denoising layers, which aren't used.
        warnings.filterwarnings("ignore", message=r"`build\(\)` was called on layer 'd_fine")
        return DFineBackbone(**config)
