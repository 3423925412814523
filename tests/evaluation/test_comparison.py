"""Resampled figures are those of the copied images, and the interval says what it should."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import EvaluationError
from detector.evaluation import resampling
from detector.evaluation.coco import compute_coco
from detector.evaluation.comparison import compare_detectors, compute_metric, prepare_sample
from detector.evaluation.resampling import compute_interval, draw_image_counts
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth

SIZE = (200, 200)
BOX = [0, 0, 50, 50]


def copy_images(images, counts):
    """Copy each image so many times, under names of their own, copies side by side."""
    return [
        type(image)(**(vars(image) | {"image": f"{image.image}.{copy}"}))
        for image, count in zip(images, counts, strict=True)
        for copy in range(count)
    ]


@settings(deadline=None)
@given(data=st.data(), metric=st.sampled_from(["ap", "ap50", "ap75"]))
def test_resampled_is_what_evaluating_copies_gives(images, data, metric):
    """Images counted 0 to 3 times: the same as COCO's figure of a set with so many copies."""
    truths, results = data.draw(images)
    results = [part_equal_scores(result) for result in results]
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(truths), max_size=len(truths)))
    prepared = prepare_sample(gather_sample(truths, results), metric)
    resampled = compute_metric(prepared, np.array(counts, np.int16)[:, None])[0]
    copied = gather_sample(copy_images(truths, counts), copy_images(results, counts))
    figure = getattr(compute_coco(copied)[0], metric)
    assert resampled == pytest.approx(np.nan if figure is None else figure, nan_ok=True)


@pytest.mark.parametrize("found", range(1, 20))
def test_recalls_are_rounded_as_the_library_rounds_them(found):
    """Seven of twenty found don't reach COCO's recall of .35, which is a little more in binary."""
    truths = [make_truth(str(n), SIZE, [BOX], [1]) for n in range(20)]
    results = [make_result(str(n), SIZE, *[[x] * (n < found) for x in (BOX, 0.9, 1)]) for n in range(20)]
    sample = gather_sample(truths, results)
    resampled = compute_metric(prepare_sample(sample, "ap50"), np.ones((20, 1), np.int16))[0]
    assert resampled == pytest.approx(compute_coco(sample)[0].ap50)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_resamples_in_any_chunks_are_the_same(images, data):
    """Taken one by one or all at once, each resample has its own figure."""
    prepared = prepare_sample(gather_sample(*data.draw(images)), "ap")
    image_count = len(prepared[0].truth_counts) if prepared else 1
    counts = draw_image_counts(image_count, 40, np.random.default_rng(0))
    at_once = compute_metric(prepared, counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "_CELLS_AT_ONCE", 1)
        assert compute_metric(prepared, counts) == pytest.approx(at_once, nan_ok=True)


def part_equal_scores(result):
    """Tell equal scores inside an image apart, where COCO's figure hangs on the order; not between images."""
    return replace(result, scores=result.scores - 1e-6 * np.arange(len(result.scores)))


def make_sides(image_count, better):
    """Make a set with one object an image: the champion finds every second, the challenger ``better`` more."""
    truths = [make_truth(str(n), SIZE, [BOX], [1]) for n in range(image_count)]
    results = [
        [make_result(str(n), SIZE, [BOX] * found, [0.9] * found, [1] * found) for n, found in enumerate(row)]
        for row in ([n % 2 for n in range(image_count)], [n % 2 or n < better for n in range(image_count)])
    ]
    return truths, *results


def test_a_clearly_better_challenger():
    """All of 60 found against 30: the interval lies above zero and around the difference."""
    compared = compare_detectors(*make_sides(60, 60), random=np.random.default_rng(0), metric="ap50")
    assert compared.champion == pytest.approx(51 / 101)
    assert compared.challenger == pytest.approx(1)
    assert compared.low < compared.difference < compared.high
    assert compared.is_better
    assert compared.share_better == 1


def test_the_same_detector_is_no_better():
    """Against itself every difference is exactly zero, since the resamples are paired."""
    truths, champion, _ = make_sides(20, 0)
    compared = compare_detectors(truths, champion, champion, random=np.random.default_rng(0))
    assert (compared.low, compared.high, compared.share_better) == (0, 0, 0.5)
    assert not compared.is_better


def test_one_image_more_is_not_enough():
    """One object more in twenty images: the interval reaches down to zero."""
    compared = compare_detectors(*make_sides(20, 1), random=np.random.default_rng(0))
    assert compared.difference > 0
    assert not compared.is_better


def test_a_seed_repeats_the_interval():
    """The same Generator seed gives the same numbers, another seed others."""
    first, again, other = (
        compare_detectors(*make_sides(20, 10), random=np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_nothing_to_compare_is_refused():
    """Without an object there is no average precision."""
    truth, empty = make_truth("a", SIZE, [], []), make_result("a", SIZE, [], [], [])
    with pytest.raises(EvaluationError, match="nothing to compare"):
        compare_detectors([truth], [empty], [empty], random=np.random.default_rng(0))


def test_draws_are_with_replacement():
    """Each resample has as many images as there are, and some come twice."""
    counts = draw_image_counts(50, 20, np.random.default_rng(0))
    assert counts.shape == (50, 20)
    assert (counts.sum(axis=0) == 50).all()
    assert (counts.max(axis=0) > 1).all()


def test_an_interval_leaves_out_what_is_no_number():
    """NaN counts for nothing; of nothing at all there is no interval."""
    assert compute_interval(np.array([np.nan, 1.0, 2.0, 3.0]), 1.0) == (1, 3)
    assert np.isnan(compute_interval(np.array([np.nan]), 0.9)).all()
