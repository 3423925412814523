"""FCOS's targets, loss and decoding, by hand-worked cases and round trips."""

import math

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.training.families.family import FamilyRequest
from detector.training.families.fcos import build_detector, compute_fcos_losses
from detector.training.families.fcos_locations import LocationGrid, decode_locations, encode_locations
from detector.training.train_settings import AnchorSettings, NetworkSettings

GRID = LocationGrid(class_count=3, canvas_px=96, levels=(3, 4), reach_strides=3.0)


def encode(boxes, class_ids, grid=GRID):
    """Encode one canvas."""
    boxes = np.array(boxes, np.float32).reshape(1, -1, 4)
    return encode_locations(boxes, np.array([class_ids], np.int32), grid).numpy()


def make_outputs(targets):
    """Turn targets into the outputs of a network that is sure of them."""
    outputs = np.where(targets > 0, 12.0, -12.0).astype(np.float32)
    outputs[..., 3:7] = targets[..., 3:7]
    return outputs


def sum_losses(targets, outputs):
    """Add up all losses."""
    return sum(float(loss) for loss in compute_fcos_losses(targets, outputs).values())


@settings(deadline=None, max_examples=50)
@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.1, 0.6), st.floats(0.1, 0.6), st.integers(1, 3))
def test_decoding_gives_back_the_encoded_box(y, x, height, width, class_id):
    """A box wider than a coarse cell is some location's answer, and decoding that answer gives the box."""
    box = np.clip([y - height / 2, x - width / 2, y + height / 2, x + width / 2], 0, 1).astype(np.float32)
    assume((box[2:] - box[:2]).min() > 17 / 96)
    targets = encode([box, [0, 0, 0, 0]], [class_id, 0])
    assert targets[0, :, class_id - 1].any()
    boxes, scores = decode_locations(make_outputs(targets), GRID)
    best = int(np.asarray(scores)[0, :, class_id - 1].argmax())
    assert np.asarray(boxes)[0, best] == pytest.approx(box, abs=1e-5)


def test_padding_is_background():
    """Rows of zeros with class_id 0 have no targets."""
    targets = encode([[0, 0, 0, 0], [0.2, 0.2, 0.6, 0.6]], [0, 0])
    assert targets.shape == (1, 12 * 12 + 6 * 6, 8)
    assert not targets.any()


def test_location_in_two_boxes_answers_for_the_smaller():
    """Around a common centre, the class of the smaller box is the target."""
    grid = LocationGrid(class_count=2, canvas_px=32, levels=(3,))
    targets = encode([[0.0, 0.0, 0.75, 0.75], [0.25, 0.25, 0.5, 0.5]], [1, 2], grid)[0]
    assert targets[5, :2].tolist() == [0, 1]
    assert targets[0, :2].tolist() == [1, 0]


def test_box_between_the_locations_of_its_level_has_no_target():
    """A tall box narrower than a coarse cell can lie between its locations, as the docstring warns."""
    assert not encode([[0.0, 18 / 96, 0.9, 22 / 96]], [1]).any()


def test_large_box_goes_to_the_coarse_level():
    """A box that reaches farther than 24 px from its locations has no target on the fine level."""
    targets = encode([[0, 0, 1, 1]], [1])[0]
    assert not targets[:144].any()
    assert targets[144:, 0].any()


def test_levels_share_the_boxes_without_a_gap():
    """Whatever its size, a square box at a location's centre has a target on exactly one level."""
    grid = LocationGrid(class_count=1, canvas_px=256, levels=(3, 4, 5))
    points, strides = grid.list_points()
    for side in (20, 40, 62, 66, 100, 126, 130, 250, 254):
        targets = encode([[(128 + d * side / 2) / 256 for d in (-1, -1, 1, 1)]], [1], grid)[0]
        assert len(set(strides[targets[:, 0] > 0, 0].tolist())) >= 1, side
    assert len(points) == 32 * 32 + 16 * 16 + 8 * 8


def test_loss_of_the_truth_is_lower_than_of_a_shifted_box():
    """Moving the predicted sides raises the loss, through GIoU alone."""
    targets = encode([[0.2, 0.2, 0.5, 0.6]], [2])
    right, shifted = make_outputs(targets), make_outputs(targets)
    shifted[..., 3:7] *= 2
    # Boxes of twice the sides, one inside the other: IoU 1/4, the hull adds nothing.
    assert sum_losses(targets, shifted) - sum_losses(targets, right) == pytest.approx(0.75, abs=1e-3)


def test_loss_of_the_wrong_class_is_higher():
    """A sure and wrong class costs more than the right one."""
    targets = encode([[0.2, 0.2, 0.5, 0.6]], [2])
    right = make_outputs(targets)
    wrong = right[..., [1, 0, 2, 3, 4, 5, 6, 7]]
    assert sum_losses(targets, wrong) > sum_losses(targets, right) + 1


def test_loss_without_objects_is_finite():
    """A batch of backgrounds divides by one, not by zero."""
    targets = np.zeros((2, 180, 8), np.float32)
    assert sum_losses(targets, make_outputs(targets)) == pytest.approx(0, abs=1e-3)


def test_network_says_little_before_training():
    """The outputs have a row per location, non-negative sides, and scores near the prior of .01."""
    keras.utils.set_random_seed(0)
    settings = NetworkSettings(input_px=96, levels=(3, 4), pyramid_width=64, head_depth=1)
    request = FamilyRequest(settings, 3, np.zeros((0, 2), np.float32))
    detector = build_detector(request)
    outputs = detector.model(np.full((2, 96, 96, 3), 127, np.float32)).numpy()
    assert outputs.shape == (2, 180, 8)
    assert outputs[..., 3:7].min() >= 0
    assert outputs[..., :3].mean() == pytest.approx(-math.log(99), abs=0.2)
    assert detector.model.count_params() < 400_000


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (NetworkSettings(input_px=96, levels=(5, 3)), "model.levels"),
        (NetworkSettings(input_px=96, anchors=AnchorSettings(sizes=[4.0])), "model.anchors"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    """Levels in the wrong order, and anchors for a family without any, are named."""
    with pytest.raises(SettingsError, match=words):
        build_detector(FamilyRequest(settings, 1, np.zeros((0, 2), np.float32)))
