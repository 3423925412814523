"""Annotations as columns: what comes out is what went in."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.annotation import Annotation, Box
from detector.annotations.columns import AnnotationColumns, gather_columns
from detector.annotations.dataset import Dataset
from detector.annotations.rows import AnnotationRows

numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.sampled_from(["cat", "Dog", "Käse", " cat"])
boxes = st.builds(
    Box, names, st.tuples(*[numbers] * 4), *[st.booleans()] * 3, names, st.none() | st.integers(1, 99)
)
paths = st.none() | st.sampled_from([Path("a.jpg"), Path("x/b.xml"), Path("ü.png")])
sizes = st.none() | st.integers(0, 2**31 - 1)
annotations = st.lists(
    st.builds(Annotation, paths, paths, sizes, sizes, st.lists(boxes, max_size=3).map(tuple), st.booleans()),
    max_size=5,
).map(tuple)


@settings(deadline=None)
@given(annotations)
def test_columns_are_equal_to_what_they_were_made_of(given_annotations):
    """As a whole, one by one, from the end, as slices, by hash, and after a journey to another process."""
    columns = gather_columns(given_annotations)
    count = len(given_annotations)
    assert columns == given_annotations
    assert given_annotations == columns
    assert hash(columns) == hash(given_annotations)
    assert [columns[n] for n in range(-count, count)] == [given_annotations[n] for n in range(-count, count)]
    assert columns[1:3] == given_annotations[1:3]
    assert pickle.loads(pickle.dumps(columns)) == columns


@settings(deadline=None)
@given(annotations, annotations)
def test_rows_of_two_processes_join(first, second):
    """Each has codes of its own for the same names."""
    rows = AnnotationRows()
    for part in (first, second):
        some = AnnotationRows()
        for annotation in part:
            own = [
                (b.label, b.xyxy_px, b.difficult, b.truncated, b.occluded, b.pose, b.line)
                for b in annotation.boxes
            ]
            some.add(own, annotation.width_px, annotation.height_px, verified=annotation.verified)
        rows.extend(some)
    both = (*first, *second)
    images, sources = (
        [p and str(p) for p in paths] for paths in ([a.image for a in both], [a.source for a in both])
    )
    assert AnnotationColumns(rows, images, sources) == both


@settings(deadline=None)
@given(annotations)
def test_counts_are_those_of_the_boxes(given_annotations):
    """Boxes and images of each class, the most frequent first, then by name."""
    dataset = Dataset(Path(), given_annotations)
    labels = [[box.label for box in annotation.boxes] for annotation in given_annotations]
    flat = sorted(label for own in labels for label in own)
    assert list(dataset.labels()) == sorted(set(flat))
    by_boxes = sorted(set(flat), key=lambda label: (-flat.count(label), label))
    assert list(dataset.count_boxes().items()) == [(label, flat.count(label)) for label in by_boxes]
    assert dataset.count_images() == {label: sum(label in own for own in labels) for label in by_boxes}


def test_other_annotations_are_not_equal():
    """One edge, one flag, one line, one picture more; and what is no sequence."""
    box = Box("cat", (1, 2, 3, 4), line=7)
    columns = gather_columns([Annotation(Path("a.jpg"), None, 8, 9, (box,))])
    for other in (
        Box("cat", (1, 2, 3, 5), line=7),
        Box("cat", (1, 2, 3, 4), True, line=7),
        Box("cat", (1, 2, 3, 4)),
    ):
        assert columns != (Annotation(Path("a.jpg"), None, 8, 9, (other,)),)
    assert columns != (*columns, *columns)
    assert columns != 3


def test_there_is_nothing_past_the_end():
    """As with a tuple."""
    with pytest.raises(IndexError):
        gather_columns([])[0]
