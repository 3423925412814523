"""Promotion: the alias moves when the whole interval is above zero, and classes are compared by name."""

import numpy as np
import pytest

from detector.errors import EvaluationError
from detector.evaluation.results import make_result
from detector.evaluation.truth import make_truth
from detector.labels import LabelMap
from detector.training.experiment.promotion import (
    LabelledTruth,
    SideResults,
    decide_promotion,
    renumber_results,
)
from detector.training.train_settings import TrackingSettings

SIZE = (200, 200)
LABELS = LabelMap({1: "cat", 2: "dog"})
BOXES = [[10, 10, 50, 50], [100, 100, 160, 160]]
TRUTH = LabelledTruth(LABELS, [make_truth(f"{n}.jpg", SIZE, BOXES, [1, 2]) for n in range(30)])


def find(found, labels=LABELS, ids=(1, 2)):
    """Make a side that finds both objects in the first ``found`` of the images, and none in the rest."""
    results = [
        make_result(f"{n}.jpg", SIZE, *((BOXES, [0.9, 0.8], ids) if n < found else ([], [], [])))
        for n in range(30)
    ]
    return SideResults(labels, results)


def decide(challenger, champion, **tracking):
    """Decide with the given settings."""
    settings = TrackingSettings(resamples=200, **tracking)
    return decide_promotion(settings, "ap50", TRUTH, challenger, champion, random=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("challenger", "champion", "rule", "promote", "why"),
    [
        (30, 10, "if_better", True, "the whole 95% interval of the difference is above 0"),
        (21, 20, "if_better", False, "don't tell which is better"),
        (20, 20, "if_better", False, "don't tell which is better"),
        (10, 30, "if_better", False, "below 0: the champion is better"),
        (10, 30, "always", True, "tracking.promote is always"),
        (30, 10, "never", False, "tracking.promote is never"),
    ],
)
def test_interval_decides(challenger, champion, rule, promote, why):
    """Sure gains promote, small ones and losses don't; the other two rules don't look."""
    decision = decide(find(challenger), find(champion), promote=rule)
    assert decision.promote is promote
    assert why in decision.why
    assert decision.comparison.challenger == pytest.approx(challenger / 30, abs=0.02)


@pytest.mark.parametrize(("rule", "promote"), [("if_better", True), ("always", True), ("never", False)])
def test_first_model_becomes_champion(rule, promote):
    """Without a champion there is nothing to compare with."""
    decision = decide(find(1), None, promote=rule)
    assert (decision.promote, decision.comparison) == (promote, None)


def test_label_maps_in_another_order_are_the_same():
    """A champion that counts dog as 1 and cat as 2 is as good as one in the truth's order."""
    turned = find(20, LabelMap({1: "dog", 2: "cat"}), (2, 1))
    decision = decide(find(30), turned)
    assert decision.comparison.champion == pytest.approx(20 / 30, abs=0.02)
    assert decision.unknown_labels == ()


def test_class_that_the_champion_lacks_is_told():
    """It counts as never found, and the words say why; what nobody looked for is left out."""
    decision = decide(find(30), find(30, LabelMap({1: "cat", 5: "fish"}), (1, 5)))
    assert decision.comparison.champion == pytest.approx(0.5, abs=0.01)
    assert decision.describe()[-1] == "the champion has no class named dog"


def test_words_hold_the_figures():
    """Both figures, the difference and the interval, for the terminal."""
    first, second = decide(find(30), find(15)).describe()
    assert first.startswith("promoted: ")
    assert second.startswith("ap50: champion 0.50")
    assert "challenger 1.000, difference +0." in second
    assert "95% interval +0." in second


def test_without_a_label_map_ids_are_taken_as_they_are():
    """A foreign champion without names is compared by id."""
    side = find(3, LabelMap())
    assert renumber_results(side, LABELS) == list(side.results)


def test_one_name_for_two_classes_is_refused():
    """By name they couldn't be told apart."""
    with pytest.raises(EvaluationError, match="one name to two classes"):
        renumber_results(find(3), LabelMap({1: "cat", 2: "cat"}))
