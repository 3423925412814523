"""Arrays of boxes: rows, overlaps, measures, anchors."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.box_measures import fit_anchors, measure_boxes
from detector.annotations.box_table import build_box_table, find_overlapping
from detector.annotations.clusters import cluster_boxes
from detector.annotations.dataset import Annotation, Box, Dataset

edges = st.tuples(*[st.integers(0, 12)] * 4).map(lambda e: (e[0], e[1], e[0] + e[2], e[1] + e[3]))
boxes_of = st.lists(st.builds(Box, st.sampled_from("ab"), edges), max_size=6)


def make_dataset(*boxes_per_image, size_wh_px=(640, 480)):
    """Make a dataset of one annotation for each list of boxes."""
    return Dataset(
        Path(),
        tuple(
            Annotation(Path(f"{number}.jpg"), Path(f"{number}.xml"), *size_wh_px, tuple(boxes))
            for number, boxes in enumerate(boxes_per_image)
        ),
    )


def make_table(dataset):
    """Make the table with the declared sizes."""
    return build_box_table(dataset, [(a.width_px, a.height_px) for a in dataset.annotations])


@settings(deadline=None)
@given(st.lists(boxes_of, max_size=5))
def test_every_row_is_its_box(boxes_per_image):
    """Row by row: edges, owner, label."""
    dataset = make_dataset(*boxes_per_image)
    table = make_table(dataset)
    boxes = [box for own in boxes_per_image for box in own]
    assert [
        (tuple(edges), owner) for edges, owner in zip(table.xyxy_px.tolist(), table.owner, strict=True)
    ] == [(box.xyxy_px, owner) for owner, own in enumerate(boxes_per_image) for box in own]
    assert [table.labels[label] for label in table.label] == [box.label for box in boxes]


@settings(deadline=None)
@given(st.lists(boxes_of, max_size=4), st.sampled_from([0.2, 0.5, 0.8]))
def test_overlapping_images_are_those_with_clusters(boxes_per_image, min_iou):
    """An image is found just when clustering its boxes joins any."""
    dataset = make_dataset(*boxes_per_image)
    clustered = [
        number
        for number, boxes in enumerate(boxes_per_image)
        if len(set(cluster_boxes(np.array([b.xyxy_px for b in boxes]), [b.label for b in boxes], min_iou)))
        < len(boxes)
    ]
    assert find_overlapping(make_table(dataset), min_iou=min_iou).tolist() == clustered


def test_measures_are_quantiles_of_boxes_with_area():
    """Boxes of 10 x 40 and 20 x 20 pixels, one without area, in pictures of 100 x 400."""
    boxes = [Box("a", (0, 0, 10, 40)), Box("a", (5, 5, 25, 25)), Box("a", (3, 3, 3, 9))]
    measures = {
        m.name: m.values for m in measure_boxes(make_table(make_dataset(boxes, size_wh_px=(100, 400))))
    }
    assert (measures["width"][0], measures["width"][3], measures["width"][-1]) == (10, 15, 20)
    assert set(measures["side"]) == {20}
    assert set(measures["relative_side"]) == {0.1}
    assert (measures["aspect_ratio"][0], measures["aspect_ratio"][-1]) == (0.25, 1)


@pytest.mark.parametrize(
    ("wh_px", "shares"),
    [
        ((32, 32), (0, 0, 0)),
        ((22, 22), (1, 1, 0)),  # (22 / 32)^2 = .47
        ((23, 23), (0, 0, 0)),  # (23 / 32)^2 = .52
        ((45.3, 22.6), (0, 0, 0)),
        ((300, 20), (1, 0, 0)),  # too long for 2:1
    ],
)
def test_anchors_by_hand(wh_px, shares):
    """The smallest anchor is 32 px, the ratios end at 2:1, half of the union must be shared."""
    fit = fit_anchors(make_table(make_dataset([Box("a", (0, 0, *wh_px))])), canvas_px=640)
    assert (fit.unmatched_share, fit.too_small_share, fit.too_large_share) == shares


def test_anchors_see_the_picture_at_the_model_s_size():
    """A box of 64 px in a picture of 2,560 has 16 px at 640, which no anchor meets."""
    dataset = make_dataset([Box("a", (0, 0, 64, 64))], size_wh_px=(2560, 1440))
    assert fit_anchors(make_table(dataset), canvas_px=640).too_small_share == 1
    assert fit_anchors(make_table(dataset), canvas_px=2560).unmatched_share == 0


def test_no_boxes_are_no_measures():
    """Background alone is fine."""
    table = make_table(make_dataset([], []))
    assert {measure.values for measure in measure_boxes(table)} == {()}
    assert fit_anchors(table, canvas_px=640).unmatched_share == 0
