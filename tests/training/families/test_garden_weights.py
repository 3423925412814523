"""Weights to begin with for the garden's families: its checkpoints and earlier runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from detector.errors import ModelError
from detector.training.families.family import FamilyRequest
from detector.training.families.registry import build_detector
from detector.training.train_settings import NetworkSettings


def build(*, class_count=2, seed=0, **settings):
    """Build a small RetinaNet."""
    keras.utils.set_random_seed(seed)
    chosen = {"input_px": 64, "backbone": "resnet_10", "levels": (4, 5), "pyramid_width": 16, "head_depth": 1}
    network = NetworkSettings(architecture="garden_retinanet", **{**chosen, **settings})
    return build_detector(FamilyRequest(network, class_count, np.zeros((0, 2), np.float32), max_boxes=3))


@pytest.fixture(scope="module")
def trained():
    """Build the network whose weights are kept; any will do."""
    return build(seed=7)


@pytest.fixture(scope="module")
def checkpoint(trained, tmp_path_factory):
    """Write a checkpoint with the parts that the garden's trainer names; give its folder."""
    folder = tmp_path_factory.mktemp("checkpoint")
    items = {"model": trained.model, "global_step": tf.Variable(5), **trained.model.checkpoint_items}
    tf.train.CheckpointManager(tf.train.Checkpoint(**items), str(folder), max_to_keep=1).save()
    return folder


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """Save the weights as a run does; give its folder."""
    folder = tmp_path_factory.mktemp("run")
    trained.model.save_weights(str(folder / "model.weights.h5"))
    return folder


def are_equal(one, other):
    """Say whether two parts hold the same weights."""
    return all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.mark.parametrize("source", ["checkpoint", "run"])
def test_everything_comes_back(source, trained, request):
    """Of the same network every weight is loaded."""
    found = build(seed=8, weights=str(request.getfixturevalue(source)))
    assert are_equal(found.model, trained.model)


def test_a_prefix_names_a_checkpoint(trained, checkpoint):
    """The checkpoint's own name does what its folder does."""
    found = build(seed=8, weights=tf.train.latest_checkpoint(str(checkpoint)))
    assert are_equal(found.model, trained.model)


@pytest.mark.parametrize("source", ["checkpoint", "run"])
def test_other_classes_begin_with_a_head_of_their_own(source, trained, request, caplog):
    """Backbone and decoder are loaded, the head's last layer stays random and finite, and the log says so."""
    found = build(class_count=5, seed=8, weights=str(request.getfixturevalue(source)))
    assert are_equal(found.model.backbone, trained.model.backbone)
    assert are_equal(found.model.decoder, trained.model.decoder)
    assert all(np.isfinite(weights).all() for weights in found.model.get_weights())
    assert caplog.records


@pytest.mark.parametrize("source", ["checkpoint", "run"])
def test_another_backbone_is_refused(source, request):
    """Weights of a ResNet-10 aren't those of a ResNet-18."""
    with pytest.raises(ModelError, match=r"model\.backbone"):
        build(backbone="resnet_18", weights=str(request.getfixturevalue(source)))


def test_what_holds_no_weights_is_refused(tmp_path):
    """An empty folder is neither a checkpoint nor a run; a checkpoint of something else has no backbone."""
    with pytest.raises(ModelError, match=r"prefix.*earlier run"):
        build(weights=str(tmp_path))
    path = tf.train.Checkpoint(step=tf.Variable(1)).save(str(tmp_path / "other"))
    with pytest.raises(ModelError, match="no checkpoint with a backbone"):
        build(weights=path)
