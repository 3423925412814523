"""The pixel probe: whatever is done to a picture, the boxes lie where the pixels of their objects went."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.training.input.augmentation import augment_sample
from detector.training.input.mosaic import make_mosaic
from detector.training.input.sample import cut_content
from detector.training.train_settings import AugmentSettings

OFF = {
    "flip": 0, "flip_vertical": 0, "scale": (1, 1), "translate": 0, "crop": 0, "brightness": 0, "contrast": 0,
    "saturation": 0, "hue": 0, "mosaic": 0, "copy_paste": 0,
}  # fmt: skip
COLOUR = {"brightness": 0.1, "contrast": 0.15, "saturation": 0.15, "hue": 0.02}
KINDS = {
    "flip": {"flip": 1},
    "flip_vertical": {"flip_vertical": 1},
    "scale": {"scale": (0.5, 1.6)},
    "translate": {"translate": 0.3},
    "crop": {"crop": 1},
    "colour": COLOUR,
    "mosaic": {"mosaic": 1, "scale": (0.8, 1.25)},
    "copy_paste": {"copy_paste": 1},
}
PROBES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def augment(make_probe, options, seed):
    """Augment a sample of two colours; others have a colour of their own each."""
    sample = make_probe([1, 2], seed=seed)
    others = [make_probe([3 + n], seed=seed + n, content=(10, 0, 86, 96)) for n in range(3)]
    drawn = itertools.cycle(others)
    after = augment_sample(
        sample, AugmentSettings(**{**OFF, **options}), np.random.default_rng(seed), lambda: next(drawn)
    )
    return sample, others, after


@pytest.mark.parametrize("kind", KINDS)
@PROBES
@given(seed=st.integers(0, 100_000))
def test_boxes_follow_the_pixels_of_each_kind(kind, seed, make_probe, check_probe):
    """Each change alone."""
    sample, others, after = augment(make_probe, KINDS[kind], seed)
    check_probe([sample, *(others if kind in ("mosaic", "copy_paste") else [])], after)


@PROBES
@given(
    seed=st.integers(0, 100_000),
    chosen=st.sets(st.sampled_from(sorted(KINDS)), min_size=2),
    part=st.sampled_from([0.5, 1.0]),
)
def test_boxes_follow_the_pixels_of_any_combination(seed, chosen, part, make_probe, check_probe):
    """Several at once, each on all pictures or on half of them."""
    options = {}
    for kind in sorted(chosen):
        options |= {key: value * part if value == 1 else value for key, value in KINDS[kind].items()}
    sample, others, after = augment(make_probe, options, seed)
    check_probe([sample, *(others if {"mosaic", "copy_paste"} & chosen else [])], after)


def test_nothing_is_changed_when_all_is_off(make_probe):
    """To the last level."""
    sample, _, after = augment(make_probe, {}, 3)
    assert np.array_equal(after.pixels, sample.pixels)
    assert after.boxes_xyxy_px.tolist() == sample.boxes_xyxy_px.tolist()
    assert after.class_ids.tolist() == [1, 2]


def test_mirrored_is_mirrored(make_probe):
    """Pixel by pixel, in the middle of the canvas."""
    sample, _, after = augment(make_probe, {"flip": 1}, 3)
    assert np.array_equal(after.pixels, sample.pixels[:, ::-1])
    sample, _, after = augment(make_probe, {"flip": 1, "flip_vertical": 1}, 3)
    assert np.array_equal(after.pixels, sample.pixels[::-1, ::-1])


def test_the_border_stays_as_exported_models_have_it(make_probe):
    """Colours of the picture change, those around it never."""
    sample, _, after = augment(make_probe, {"brightness": 0.3, "contrast": 0.3}, 1)
    assert (after.pixels[:12] == 127).all()
    assert (after.pixels[-12:] == 127).all()
    assert (after.pixels[14] != sample.pixels[14]).any()


def test_an_object_mostly_out_of_the_canvas_has_no_box(make_probe):
    """Enlarged four times, what was at the edge is gone, and what is left is inside."""
    for seed in range(20):
        sample, _, after = augment(make_probe, {"scale": (4, 4)}, seed)
        far = np.abs((sample.boxes_xyxy_px[:, :2] + sample.boxes_xyxy_px[:, 2:]) / 2 - 48).max(axis=1) > 30
        assert not set(sample.class_ids[far].tolist()) & set(after.class_ids.tolist())
        assert ((after.boxes_xyxy_px >= 0) & (after.boxes_xyxy_px <= 96)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_generator_gives_the_same_sample(kind, make_probe):
    """And another one gives another."""
    _, _, first = augment(make_probe, KINDS[kind], 5)
    _, _, again = augment(make_probe, KINDS[kind], 5)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.boxes_xyxy_px.tolist() == again.boxes_xyxy_px.tolist()


def test_a_mosaic_shows_four_pictures(make_probe, find_colour):
    """At least three colours are there in nearly all of them."""
    counts = []
    for seed in range(20):
        _, _, after = augment(make_probe, KINDS["mosaic"], seed)
        counts.append(sum(find_colour(after.pixels, class_id) is not None for class_id in range(1, 6)))
    assert np.mean(counts) > 4


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_the_four_pictures_of_a_mosaic_meet(is_mirrored, make_probe):
    """No border where they touch, mirrored or not."""
    sample = make_probe([], content=(0, 30, 96, 66))
    tiles = [(sample, cut_content(sample), 1.0, (is_mirrored, is_mirrored))] * 4
    pixels = make_mosaic(tiles, (50, 40)).pixels
    assert (pixels[36:44, 46:54] == 120).all()
    assert (pixels[:4] == 127).all()


def test_a_crop_enlarges_whole_objects(make_probe):
    """Both sides by the same factor, 1.2 and more on average; what is gone is wholly gone."""
    factors = []
    for seed in range(30):
        sample, _, after = augment(make_probe, {"crop": 1}, seed)
        before = dict(zip(sample.class_ids.tolist(), sample.boxes_xyxy_px, strict=True))
        for class_id, box in zip(after.class_ids.tolist(), after.boxes_xyxy_px, strict=True):
            factor = (box[2:] - box[:2]) / (before[class_id][2:] - before[class_id][:2])
            assert factor[0] == pytest.approx(factor[1], rel=1e-4)
            factors.append(factor[0])
    assert np.mean(factors) > 1.2


def test_copy_paste_adds_an_object_where_there_is_room(make_probe):
    """One more box, that touches no other; what was there is unchanged."""
    added = 0
    for seed in range(20):
        sample, _, after = augment(make_probe, KINDS["copy_paste"], seed)
        assert after.boxes_xyxy_px[:2] == pytest.approx(sample.boxes_xyxy_px)
        added += len(after.class_ids) - 2
        for box in after.boxes_xyxy_px[2:]:
            x_min, y_min, x_max, y_max = box
            for other in after.boxes_xyxy_px[:2]:
                assert x_max <= other[0] or other[2] <= x_min or y_max <= other[1] or other[3] <= y_min
    assert added >= 18


def test_copy_paste_takes_nothing_from_a_picture_without_objects(make_probe):
    """Background has nothing to give."""
    sample = make_probe([1])
    settings_ = AugmentSettings(**{**OFF, "copy_paste": 1})
    after = augment_sample(sample, settings_, np.random.default_rng(0), lambda: make_probe([]))
    assert np.array_equal(after.pixels, sample.pixels)


def test_a_picture_without_boxes_goes_through_everything(make_probe):
    """Background pictures are augmented, too."""
    for kind in KINDS.values():
        options = AugmentSettings(**{**OFF, **kind})
        after = augment_sample(make_probe([]), options, np.random.default_rng(1), lambda: make_probe([]))
        assert after.boxes_xyxy_px.shape == (0, 4)
        assert after.pixels.shape == (96, 96, 3)
