"""The split: shares, groups, seeds, order, tiny sets."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.splits import Sample, assign_splits, check_fractions, find_scarce_classes
from detector.errors import SettingsError

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
samples_of = st.lists(
    st.tuples(st.integers(0, 12), st.sets(st.sampled_from("abcd"), max_size=3)), min_size=1, max_size=60
)
shares = st.lists(st.integers(1, 8), min_size=1, max_size=4).map(
    lambda parts: {f"split{number}": part / sum(parts) for number, part in enumerate(parts)}
)


def make_samples(drawn):
    """Make samples of drawn (group, labels) pairs."""
    return [
        Sample(f"{number}.jpg", tuple(sorted(labels)), f"g{group}")
        for number, (group, labels) in enumerate(drawn)
    ]


@settings(deadline=None)
@given(samples_of, shares, st.integers(0, 5), st.randoms())
def test_split_is_whole_repeatable_and_keeps_groups(drawn, fractions, seed, random):
    """Every image once, every group in one split, no split empty that could be filled, in any order."""
    samples = make_samples(drawn)
    splits = assign_splits(samples, fractions, seed=seed)
    groups = {sample.group: splits[sample.image] for sample in samples}
    assert set(splits) == {sample.image for sample in samples}
    assert all(groups[sample.group] == splits[sample.image] for sample in samples)
    assert len(set(splits.values())) == min(len(groups), len(fractions))
    random.shuffle(samples)
    assert assign_splits(samples, fractions, seed=seed) == splits


@settings(deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=30, max_size=80), st.integers(0, 3))
def test_each_class_has_its_share_in_each_split(labels, seed):
    """Of single pictures with one class each, no split misses its share of a class by more than two."""
    samples = [Sample(f"{number}.jpg", (label,), str(number)) for number, label in enumerate(labels)]
    splits = assign_splits(samples, FRACTIONS, seed=seed)
    found = Counter((sample.labels[0], splits[sample.image]) for sample in samples)
    for label, count in Counter(labels).items():
        for name, fraction in FRACTIONS.items():
            assert abs(found[label, name] - fraction * count) <= 2


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "val": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (5, {"train": 3, "val": 1, "test": 1}),
        (100, {"train": 80, "val": 10, "test": 10}),
    ],
)
def test_tiny_sets_fill_every_split_where_they_can(images, expected):
    """One picture is for training; three are one for each."""
    samples = [Sample(f"{number}.jpg", ("a",), str(number)) for number in range(images)]
    assert Counter(assign_splits(samples, FRACTIONS).values()) == expected


def test_background_is_stratified_as_a_class():
    """Pictures without boxes are in each split in their share, too."""
    samples = [Sample(f"{number}.jpg", ("a",) if number % 2 else (), str(number)) for number in range(100)]
    splits = assign_splits(samples, FRACTIONS)
    assert Counter(splits[sample.image] for sample in samples if not sample.labels) == {
        "train": 40, "val": 5, "test": 5,
    }  # fmt: skip


def test_pictures_of_several_classes_are_stratified_too():
    """Of 300 pictures with any of four classes, rare ones included, each split has its share of each."""
    generator = np.random.default_rng(7)
    has = generator.random((300, 4)) < [0.8, 0.4, 0.2, 0.07]
    samples = [
        Sample(f"{number}.jpg", tuple("abcd"[i] for i in np.flatnonzero(row)), str(number))
        for number, row in enumerate(has)
    ]
    splits = assign_splits(samples, FRACTIONS)
    for label in "abcd":
        found = Counter(splits[sample.image] for sample in samples if label in sample.labels)
        for name, fraction in FRACTIONS.items():
            assert abs(found[name] - fraction * found.total()) <= 2


def test_split_is_the_same_in_every_process():
    """Pinned: a manifest made today is made again tomorrow, whatever Python's hash seed."""
    samples = [Sample(f"{number}.jpg", ("ab"[number % 2],), str(number)) for number in range(12)]
    splits = assign_splits(samples, FRACTIONS, seed=3)
    assert {image: split for image, split in splits.items() if split != "train"} == {
        "10.jpg": "val",
        "7.jpg": "test",
    }


def test_seeds_give_different_splits():
    """Another seed is another split."""
    samples = [Sample(f"{number}.jpg", ("a",), str(number)) for number in range(50)]
    assert assign_splits(samples, FRACTIONS, seed=1) != assign_splits(samples, FRACTIONS, seed=2)


def test_a_split_of_nothing_gets_nothing():
    """Fraction 0 is no split to be filled."""
    samples = [Sample(f"{number}.jpg", ("a",), str(number)) for number in range(10)]
    assert set(assign_splits(samples, {"train": 0.8, "val": 0.2, "test": 0}).values()) == {"train", "val"}


@pytest.mark.parametrize("fractions", [{"a": 0.8, "b": 0.1}, {"a": 1.1, "b": -0.1}, {"a": float("nan")}])
def test_wrong_fractions_are_refused(fractions):
    """They sum to 1, and none is negative."""
    with pytest.raises(SettingsError, match="fractions"):
        check_fractions(fractions)


def test_class_in_too_few_groups_is_told():
    """Ten pictures of one clip are one independent picture."""
    samples = [Sample(f"{number}.jpg", ("a",), "clip") for number in range(10)]
    samples += [Sample(f"b{number}.jpg", ("b",), str(number)) for number in range(3)]
    (problem,) = find_scarce_classes(samples, 3)
    assert (problem.code, "'a'" in problem.message) == ("class-scarce", True)
