"""Assignment against SciPy's, and where rows are missing or costs are no numbers."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from detector.training.families.assignment import assign_objects


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(0, 6))
def test_total_cost_is_the_least_there_is(seed, objects, more):
    """The sum over real objects is SciPy's, and no prediction is taken twice."""
    generator = np.random.default_rng(seed)
    costs = generator.normal(size=(2, objects, objects + more)).astype(np.float32)
    real = generator.random((2, objects)) < 0.7
    found = assign_objects(tf.constant(costs), tf.constant(real)).numpy()
    for number in range(2):
        mine, rows = costs[number][real[number]], np.arange(real[number].sum())
        best = mine[linear_sum_assignment(mine)].sum()
        np.testing.assert_allclose(mine[rows, found[number][real[number]]].sum(), best, atol=1e-4)
        assert len(set(found[number][real[number]])) == len(rows)


def test_hand_worked_case():
    """Both objects like prediction 0; the one with less to lose takes its second choice."""
    costs = tf.constant([[[0.0, 1.0, 9.0], [0.0, 5.0, 9.0]]])
    assert assign_objects(costs, tf.constant([[True, True]])).numpy().tolist() == [[1, 0]]
    assert assign_objects(costs, tf.constant([[True, False]])).numpy()[0, 0] == 0


def test_costs_that_are_no_numbers_end_too():
    """A diverged network's costs are assigned somehow, each object another prediction."""
    found = assign_objects(tf.fill([1, 2, 3], np.nan), tf.constant([[True, True]])).numpy()[0]
    assert found[0] != found[1]


def test_runs_in_a_graph_compiled_by_xla():
    """A compiled training step holds it."""
    costs = tf.constant(np.random.default_rng(1).normal(size=(2, 3, 7)).astype(np.float32))
    real = tf.constant([[True, True, False], [True, True, True]])
    compiled = tf.function(assign_objects, jit_compile=True)(costs, real)
    np.testing.assert_array_equal(compiled, assign_objects(costs, real))
