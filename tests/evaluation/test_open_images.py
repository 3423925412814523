"""The Open Images figure: groups, image labels and classes above classes, by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import EvaluationError
from detector.evaluation.hierarchy import expand_result, expand_truth
from detector.evaluation.open_images import compute_open_images
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth
from detector.evaluation.voc import compute_voc

SIZE = (200, 200)
GROUP, ALONE = [0, 0, 100, 100], [120, 120, 180, 180]
INSIDE = [[0, 0, 20, 20], [30, 30, 50, 50]]
ANIMAL, DOG, CAT = 1, 2, 3
PARENTS = {DOG: [ANIMAL], CAT: [ANIMAL]}


def compute_ap(truth, boxes, scores, class_ids=None):
    """Compute the figure of one image."""
    found = make_result("a", SIZE, boxes, scores, class_ids or [1] * len(boxes))
    return compute_open_images(gather_sample([truth], [found]))[0]


def test_a_group_is_one_object():
    """Found by any number of detections inside it, and missed without one."""
    truth = make_truth("a", SIZE, [GROUP, ALONE], [1, 1], crowd=[True, False])
    assert compute_ap(truth, [*INSIDE, ALONE], [0.9, 0.8, 0.7]) == pytest.approx(1)
    assert compute_ap(truth, [ALONE], [0.7]) == pytest.approx(0.5)


def test_the_best_in_a_group_carries_it():
    """A wrong one scored between two in a group comes after the group: 1/1, then 2/3."""
    truth = make_truth("a", SIZE, [GROUP, ALONE], [1, 1], crowd=[True, False])
    boxes = [INSIDE[0], [150, 0, 190, 40], INSIDE[1], ALONE]
    assert compute_ap(truth, boxes, [0.9, 0.8, 0.7, 0.6]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_an_object_comes_before_the_group_around_it():
    """The detection that finds an object inside a group is its; the group needs another."""
    truth = make_truth("a", SIZE, [GROUP, INSIDE[0]], [1, 1], crowd=[True, False])
    assert compute_ap(truth, [INSIDE[0]], [0.9]) == pytest.approx(0.5)
    assert compute_ap(truth, INSIDE, [0.9, 0.8]) == pytest.approx(1)


def test_only_labelled_classes_are_judged():
    """A detection of a class that nobody looked for doesn't count; of one not there it is wrong."""
    elsewhere = make_truth("b", SIZE, [ALONE], [2])
    nothing = make_result("b", SIZE, [ALONE], [0.5], [2])
    found = make_result("a", SIZE, [ALONE, ALONE], [0.9, 0.8], [1, 2])
    for labelled, ap in ((None, 0.5), ([1], 1.0), ([1, 2], 0.5)):
        truth = make_truth("a", SIZE, [ALONE], [1], labelled_class_ids=labelled)
        _, each = compute_open_images(gather_sample([truth, elsewhere], [found, nothing]))
        assert each == {1: pytest.approx(1), 2: pytest.approx(ap)}


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_without_groups_it_is_voc(plain_images, data):
    """With neither groups nor labels, the figure is VOC's of 2010."""
    sample = gather_sample(*data.draw(plain_images))
    mean, each = compute_open_images(sample)
    figures, figures_each = compute_voc(sample)
    assert mean == pytest.approx(figures.ap)
    assert each == pytest.approx({class_id: voc.ap for class_id, voc in figures_each.items()})


def test_a_dog_is_an_animal():
    """Truth and results gain the class above, place and score kept."""
    truth = expand_truth(make_truth("a", SIZE, [ALONE], [DOG], difficult=[True]), PARENTS)
    assert (truth.class_ids.tolist(), truth.difficult.tolist()) == ([DOG, ANIMAL], [True, True])
    result = expand_result(make_result("a", SIZE, [ALONE], [0.5], [CAT]), PARENTS)
    assert (result.class_ids.tolist(), result.scores.tolist()) == ([CAT, ANIMAL], [0.5, 0.5])


@pytest.mark.parametrize(
    ("present", "labelled", "expanded"),
    [
        ([DOG], [DOG], [ANIMAL, DOG]),  # there is a dog, so there is an animal; of cats nobody knows
        ([], [ANIMAL], [ANIMAL, DOG, CAT]),  # no animal, so no dog
        ([DOG], [DOG, CAT], [ANIMAL, DOG, CAT]),
        ([], [DOG], [DOG]),
    ],
)
def test_labels_go_up_where_there_is_one_and_down_where_there_is_none(present, labelled, expanded):
    """What was seen is also all above it; what wasn't is also nothing below it."""
    truth = make_truth("a", SIZE, [ALONE] * len(present), present, labelled_class_ids=labelled)
    assert expand_truth(truth, PARENTS).labelled_class_ids.tolist() == expanded


def test_a_circle_is_refused():
    """A class that stands above itself is named."""
    with pytest.raises(EvaluationError, match="class 1 "):
        expand_truth(make_truth("a", SIZE, [ALONE], [1]), {1: [2], 2: [1]})
