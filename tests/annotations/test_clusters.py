"""Several boxes around one object: found, merged, chosen from, imitated."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.annotations.clusters import (
    choose_boxes,
    choose_one,
    cluster_boxes,
    jitter_boxes,
    merge_boxes,
    merge_clusters,
)
from detector.annotations.dataset import Box
from detector.boxes import compute_iou

corners = st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 15)] * 2)
drawn = st.lists(st.tuples(corners, st.sampled_from(["cat", "dog"])), min_size=1, max_size=12)


def stack(drawn_boxes):
    """Make arrays of (x, y, width, height) and labels."""
    edges = np.array([(x, y, x + w, y + h) for (x, y, w, h), _ in drawn_boxes], np.float32).reshape(-1, 4)
    return edges, [label for _, label in drawn_boxes]


def test_boxes_of_one_object_are_one_cluster():
    """Three hands drew the first cat, one the second; the dog in the same place is another object."""
    boxes = np.array(
        [[0, 0, 10, 10], [40, 0, 50, 10], [1, 0, 11, 10], [0, 1, 10, 11], [0, 0, 10, 10]], np.float32
    )
    assert cluster_boxes(boxes, ["cat", "cat", "cat", "cat", "dog"], 0.5).tolist() == [0, 1, 0, 0, 2]


def test_a_row_of_neighbours_does_not_melt_into_one():
    """Each overlaps the next by .54 and the next but one by .25: two and two belong together."""
    boxes = np.array([[x, 0, x + 10, 10] for x in (0, 3, 6, 9)], np.float32)
    assert cluster_boxes(boxes, ["sheep"] * 4, 0.5).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_equal_overlaps_are_joined_alike_in_any_order(order):
    """The middle one belongs to either of its neighbours: always to the left one."""
    boxes = np.array([[x, 0, x + 10, 10] for x in (0, 3, 6)], np.float32)
    clusters = cluster_boxes(boxes[list(order)], ["sheep"] * 3, 0.5)
    by_box = dict(zip(order, clusters.tolist(), strict=True))
    assert by_box[0] == by_box[1] != by_box[2]


def test_boxes_without_area_stay_alone():
    """They overlap nothing, not even themselves."""
    boxes = np.array([[5, 5, 5, 9], [5, 5, 5, 9]], np.float32)
    assert cluster_boxes(boxes, ["cat", "cat"], 0.0).tolist() == [0, 1]


def test_no_boxes_are_no_clusters():
    """A background picture."""
    empty = np.zeros((0, 4), np.float32)
    clusters = cluster_boxes(empty, [], 0.5)
    assert (clusters.shape, merge_clusters(empty, clusters).shape) == ((0,), (0, 4))
    assert merge_boxes((), 0.5) == ()


@given(drawn, st.floats(0, 0.95))
def test_each_two_boxes_of_a_cluster_overlap_and_no_two_clusters_could_be_one(drawn_boxes, iou):
    """The definition, checked pair by pair."""
    boxes, labels = stack(drawn_boxes)
    clusters, names = cluster_boxes(boxes, labels, iou), np.array(labels)
    linked = (compute_iou(boxes, boxes) > iou) & (names[:, None] == names[None, :])
    np.fill_diagonal(linked, val=True)
    members = [np.flatnonzero(clusters == number) for number in range(clusters.max() + 1)]
    for number, first in enumerate(members):
        assert linked[np.ix_(first, first)].all()
        assert all(not linked[np.ix_(first, second)].all() for second in members[number + 1 :])


@given(drawn, st.randoms(use_true_random=False))
def test_the_order_of_the_boxes_makes_no_difference(drawn_boxes, random):
    """Also where overlaps are equal."""
    order = list(range(len(drawn_boxes)))
    random.shuffle(order)
    boxes, labels = stack(drawn_boxes)
    clusters = cluster_boxes(boxes, labels, 0.4)
    shuffled = cluster_boxes(boxes[order], [labels[i] for i in order], 0.4)

    def group(numbers, indices):
        groups = [[] for _ in numbers]
        for number, index in zip(numbers, indices, strict=True):
            groups[number].append((*boxes[index].tolist(), labels[index]))
        return sorted(map(sorted, groups))

    assert group(clusters, range(len(order))) == group(shuffled, order)


def test_evaluation_sees_the_mean_box():
    """Difficult when all said so, truncated when one did; a box that is alone is not touched."""
    first = Box("cat", (0, 0, 10, 10), difficult=True, line=3)
    second = Box("cat", (2, 0, 12, 10), truncated=True)
    alone = Box("cat", (50.123, 0, 60, 10))
    merged = merge_boxes((first, alone, second), 0.5)
    assert merged == (Box("cat", (1, 0, 11, 10), truncated=True, line=3), alone)


def test_training_takes_each_box_of_a_cluster_equally_often():
    """One of three by chance, and always the one that is alone."""
    clusters, generator = np.array([0, 0, 1, 0]), np.random.default_rng(1)
    counts = np.zeros(4)
    for _ in range(3_000):
        counts[choose_one(clusters, generator)] += 1
    assert counts[2] == 3_000
    assert counts[[0, 1, 3]] == pytest.approx([1_000] * 3, rel=0.1)


def test_an_epoch_has_one_box_of_each_object():
    """And the seed decides which."""
    boxes = (Box("cat", (0, 0, 10, 10)), Box("cat", (1, 0, 11, 10)), Box("dog", (0, 0, 10, 10)))
    chosen = choose_boxes(boxes, 0.5, np.random.default_rng(3))
    assert len(chosen) == 2
    assert chosen == choose_boxes(boxes, 0.5, np.random.default_rng(3))
    assert set(chosen) < set(boxes)


@given(drawn, st.integers(0, 1_000), st.floats(0, 0.5))
def test_jittered_boxes_stay_inside_and_keep_an_area(drawn_boxes, seed, sigma):
    """At most three deviations of the box's own size away."""
    boxes, _ = stack(drawn_boxes)
    jittered = jitter_boxes(boxes, np.random.default_rng(seed), relative_sigma=sigma, size_wh_px=(35, 35))
    assert (jittered >= 0).all()
    assert (jittered <= 35).all()
    assert (jittered[:, 2:] > jittered[:, :2]).all()
    extents = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    assert (np.abs(jittered - boxes) <= 3 * sigma * extents + 1e-3).all()


def test_jitter_is_as_large_as_it_is_told():
    """A deviation of 5 % of a box of 100 x 200 pixels: 5 across and 10 down; 0 moves nothing."""
    boxes = np.tile(np.array([[400, 400, 500, 600]], np.float32), (4_000, 1))
    generator = np.random.default_rng(0)
    moves = jitter_boxes(boxes, generator, relative_sigma=0.05, size_wh_px=(1_000, 1_000)) - boxes
    assert moves.std(axis=0) == pytest.approx([5, 10, 5, 10], rel=0.05)
    still = jitter_boxes(boxes, generator, relative_sigma=0, size_wh_px=(450, 450))
    assert (still == boxes).all()
