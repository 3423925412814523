"""The space: what it tries, and what is refused before anything starts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.training.search.space import MAX_GRID, SearchSpace, apply_values, read_space
from detector.training.train_settings import Range, TrainSettings

KEYS = {
    "fit.epochs": [1, 2],
    "model.architecture": ["fcos", "retinanet"],
    "augment.scale": [[0.5, 2.0], [1, 1]],
}


def test_grid_is_every_combination(make_settings):
    """The product, the last key's values changing fastest; a range with a step is a list."""
    space = read_space(
        make_settings({"fit.epochs": [1, 2], "augment.flip": {"low": 0, "high": 0.3, "step": 0.1}})
    )
    grid = space.list_grid()
    assert [tuple(values.values()) for values in grid[:5]] == [(1, 0), (1, 0.1), (1, 0.2), (1, 0.3), (2, 0)]
    assert len(grid) == 8


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"fit.learning_rat": [1]}, r"unknown setting fit\.learning_rat; did you mean fit\.learning_rate"),
        ({"fit": [1]}, "unknown setting fit"),
        ({"data.split_seed": [1, 2]}, r"data\.split_seed can't be searched"),
        ({"fit.metric": ["ap"]}, r"fit\.metric can't be searched"),
        ({"search.seed": [1]}, r"search\.seed can't be searched"),
        ({"tracking.uri": ["x"]}, r"tracking\.uri can't be searched"),
        ({"fit.epochs": []}, r"fit\.epochs: give one value or more"),
        ({"fit.epochs": [1, 1]}, r"fit\.epochs: give one value or more, each once"),
        ({"fit.epochs": [1, 0]}, r"fit\.epochs 0: Input should be greater than 0"),
        ({"fit.optimizer": ["adam", "adamax"]}, r"fit\.optimizer adamax"),
        ({"model.architecture": ["fcos", "retinanett"]}, "did you mean retinanet"),
        ({"fit.learning_rate": {"low": 1, "high": 0.1}}, "low 1 is above high 0.1"),
        ({"fit.learning_rate": {"low": 0, "high": 0.1, "log": True}}, "begins above 0"),
        ({"fit.learning_rate": {"low": -1, "high": 0.1}}, r"fit\.learning_rate -1"),
        ({"fit.epochs": {"low": 1, "high": 2.5, "integer": True}}, "whole numbers"),
    ],
)
def test_impossible_spaces_are_refused_by_name(make_settings, space, words):
    """Unknown keys, keys that make trials incomparable, values that no combination could save."""
    with pytest.raises(SettingsError, match=words):
        read_space(make_settings(space))


def test_value_that_depends_on_others_is_left_to_its_trial(make_settings):
    """A scale whose ends are swapped is refused by the section, so by the trial that gets it."""
    whole = make_settings({"augment.scale": [[0.5, 2], [2, 0.5]]})
    assert len(read_space(whole).list_grid()) == 2
    with pytest.raises(SettingsError, match=r"augment.scale \[2, 0.5\]: augment: augment.scale is"):
        apply_values(whole, {"augment.scale": [2, 0.5]})


def test_grid_needs_steps_and_an_end(make_settings):
    """A range without a step has no end of values; too many combinations are a mistake."""
    with pytest.raises(SettingsError, match="a grid needs a list of values, or low, high and step"):
        read_space(make_settings({"fit.learning_rate": {"low": 0.1, "high": 1}})).list_grid()
    whole = {"low": 1, "high": 101, "integer": True}
    space = make_settings({"fit.epochs": whole, "fit.batch_size": whole})
    with pytest.raises(SettingsError, match=f"10,201 combinations, more than {MAX_GRID:,}"):
        read_space(space).list_grid()


def test_values_are_applied_and_checked(make_settings):
    """Nested keys; the rest stays; the search itself goes, so that a trial doesn't search."""
    whole = make_settings({"fit.epochs": [1, 2]}, fit={"batch_size": 3})
    applied = apply_values(whole, {"fit.epochs": 2, "model.anchors.sizes": [1.0, 2.0]})
    assert (applied.fit.epochs, applied.fit.batch_size, applied.search.method) == (2, 3, "none")
    assert applied.model.anchors.sizes == [1.0, 2.0]
    assert isinstance(applied, TrainSettings)


@settings(deadline=None)  # the first example imports Optuna
@given(st.fixed_dictionaries({key: st.sampled_from(values) for key, values in KEYS.items()}))
def test_values_survive_optuna(values):
    """Plain values and lists come back from Optuna's parameters as they were, in the space's order."""
    space = SearchSpace(KEYS)
    distributions = space.build_distributions()
    stored = {
        key: distributions[key].to_external_repr(distributions[key].to_internal_repr(param))
        for key, param in space.encode(values).items()
    }
    assert space.decode(stored) == values
    assert list(space.decode(stored)) == list(KEYS)


def test_ranges_are_optunas_distributions():
    """Whole numbers, steps and logarithms."""
    space = SearchSpace(
        {
            "a": Range(low=1, high=9, integer=True, step=2),
            "b": Range(low=0.1, high=1, log=True),
            "c": Range(low=0, high=1),
        }
    )
    shown = {key: str(distribution) for key, distribution in space.build_distributions().items()}
    assert shown == {
        "a": "IntDistribution(high=9, log=False, low=1, step=2)",
        "b": "FloatDistribution(high=1.0, log=True, low=0.1, step=None)",
        "c": "FloatDistribution(high=1.0, log=False, low=0.0, step=None)",
    }
