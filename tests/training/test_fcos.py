"""FCOS's targets, loss and decoding, by hand-worked cases and round trips."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector.training.fcos import FcosConfig, build_fcos, compute_loss, decode_boxes, encode_targets

CONFIG = FcosConfig(class_count=3)


def make_outputs(targets):
    """Turn targets into the outputs of a network that is sure of them."""
    outputs = np.where(targets > 0, 12.0, -12.0).astype(np.float32)
    outputs[..., 3:7] = targets[..., 3:7]
    return outputs


@settings(deadline=None)
@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.1, 0.6), st.floats(0.1, 0.6), st.integers(1, 3))
def test_decoding_gives_back_the_encoded_box(y, x, height, width, class_id):
    """A box wider than a coarse cell is some location's answer, and decoding that answer gives the box."""
    box = np.clip([y - height / 2, x - width / 2, y + height / 2, x + width / 2], 0, 1).astype(np.float32)
    assume((box[2:] - box[:2]).min() > 17 / 96)
    targets = encode_targets(box[None], np.array([class_id], np.int32), CONFIG)
    assert targets[:, class_id - 1].any()
    boxes, scores = decode_boxes(make_outputs(targets)[None], CONFIG)
    best = int(np.asarray(scores)[0, :, class_id - 1].argmax())
    assert np.asarray(boxes)[0, best] == pytest.approx(box, abs=1e-5)


def test_no_boxes_are_all_background():
    """A canvas without objects has targets of zeros."""
    targets = encode_targets(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), CONFIG)
    assert targets.shape == (12 * 12 + 6 * 6, 8)
    assert not targets.any()


def test_location_in_two_boxes_answers_for_the_smaller():
    """Around a common centre, the class of the smaller box is the target."""
    config = FcosConfig(class_count=2, canvas_px=32, levels=(3,), reach_px=(math.inf,))
    boxes = np.array([[0.0, 0.0, 0.75, 0.75], [0.25, 0.25, 0.5, 0.5]], np.float32)
    targets = encode_targets(boxes, np.array([1, 2], np.int32), config)
    assert targets[5, :2].tolist() == [0, 1]
    assert targets[0, :2].tolist() == [1, 0]


def test_box_between_the_locations_of_its_level_has_no_target():
    """A tall box narrower than a coarse cell can lie between its locations, as the docstring warns."""
    box = np.array([[0.0, 18 / 96, 0.9, 22 / 96]], np.float32)
    assert not encode_targets(box, np.array([1], np.int32), CONFIG).any()


def test_large_box_goes_to_the_coarse_level():
    """A box that reaches farther than 24 px from its locations has no target on the fine level."""
    targets = encode_targets(np.array([[0, 0, 1, 1]], np.float32), np.array([1], np.int32), CONFIG)
    assert not targets[:144].any()
    assert targets[144:, 0].any()


def test_loss_of_the_truth_is_lower_than_of_a_shifted_box():
    """Moving the predicted sides raises the loss, through GIoU alone."""
    box, class_id = np.array([[0.2, 0.2, 0.5, 0.6]], np.float32), np.array([2], np.int32)
    targets = encode_targets(box, class_id, CONFIG)[None]
    right, shifted = make_outputs(targets), make_outputs(targets)
    shifted[..., 3:7] *= 2
    # Boxes of twice the sides, one inside the other: IoU 1/4, the hull adds nothing.
    assert float(compute_loss(targets, shifted)) - float(compute_loss(targets, right)) == pytest.approx(
        0.75, abs=1e-3
    )


def test_loss_of_the_wrong_class_is_higher():
    """A sure and wrong class costs more than the right one."""
    targets = encode_targets(np.array([[0.2, 0.2, 0.5, 0.6]], np.float32), np.array([2], np.int32), CONFIG)[
        None
    ]
    right = make_outputs(targets)
    wrong = right[..., [1, 0, 2, 3, 4, 5, 6, 7]]
    assert float(compute_loss(targets, wrong)) > float(compute_loss(targets, right)) + 1


def test_loss_without_objects_is_finite():
    """A batch of backgrounds divides by one, not by zero."""
    targets = np.zeros((2, 180, 8), np.float32)
    assert float(compute_loss(targets, make_outputs(targets))) == pytest.approx(0, abs=1e-3)


def test_network_says_little_before_training():
    """The outputs have a row per location, non-negative sides, and scores near the prior of .01."""
    model = build_fcos(CONFIG)
    outputs = model(np.zeros((2, 96, 96, 3), np.float32)).numpy()
    assert outputs.shape == (2, 180, 8)
    assert outputs[..., 3:7].min() >= 0
    assert outputs[..., :3].mean() == pytest.approx(-math.log(99), abs=0.2)
    assert model.count_params() < 400_000
