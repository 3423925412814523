"""One-to-one assignment of objects to predictions at the least total cost, in TensorFlow's own operations.

Owns the shortest augmenting path form of the Hungarian algorithm: one row after another enters, each by one
search over the columns (Jonker & Volgenant, "A Shortest Augmenting Path Algorithm for Dense and Sparse Linear
Assignment Problems", 1987). Its work grows with the objects that there are, not with the square of the
predictions.
"""

from typing import Any

import tensorflow as tf

Tensors = Any  # TensorFlow ships no types
_FREE = -1
_ENDLESS = 1e9
_HIGHEST_COST = 1e6


def assign_objects(costs: Tensors, real: Tensors) -> Tensors:
    """Find the prediction of each object, no prediction twice, so that the sum of costs is least.

    Costs float32 [N, M, Q] of M objects and Q predictions, for N problems apart; ``real`` bool [N, M] says
    which objects there are, at most Q of them. Returns int32 [N, M], 0 for objects that there aren't. Costs
    that are no numbers count as high ones: such a loss is found by whoever looks at it.
    """
    costs = tf.where(
        tf.math.is_finite(costs), tf.clip_by_value(costs, -_HIGHEST_COST, _HIGHEST_COST), _HIGHEST_COST
    )
    return tf.map_fn(lambda problem: _assign(*problem), (costs, real), fn_output_signature=tf.int32)


def _assign(costs: Tensors, real: Tensors) -> Tensors:
    # Column 0 is a stop before the others, from which each search sets out.
    costs = tf.pad(costs, [[0, 0], [1, 0]])
    rows, columns = tf.shape(costs)[0], tf.shape(costs)[1]
    start = (tf.constant(0), tf.zeros(rows), tf.zeros(columns), tf.fill([columns], _FREE))

    def enter(row: Tensors, *state: Tensors) -> tuple[Tensors, ...]:
        entered = tf.cond(real[row], lambda: _enter_row(row, costs, *state), lambda: state)
        return (row + 1, *entered)

    owners = tf.while_loop(lambda row, *_: row < rows, enter, start)[-1]
    owned = owners[None, 1:] == tf.range(rows)[:, None]
    return tf.argmax(owned, axis=1, output_type=tf.int32)


def _enter_row(
    row: Tensors, costs: Tensors, row_prices: Tensors, column_prices: Tensors, owners: Tensors
) -> tuple[Tensors, Tensors, Tensors]:
    # Grows a tree of columns from the new row, the nearest first, until one is free; then shifts along it.
    owners = tf.tensor_scatter_nd_update(owners, [[0]], [row])
    count = tf.shape(owners)[0]
    numbers = tf.range(count)
    start = (
        tf.constant(0), row_prices, column_prices,
        tf.fill([count], _ENDLESS), tf.zeros(count, tf.int32), tf.zeros(count, tf.bool),
    )  # fmt: skip

    def grow(column: Tensors, rows: Tensors, columns: Tensors, *tree: Tensors) -> tuple[Tensors, ...]:
        slack, came_from, reached = tree
        reached |= numbers == column
        owner = owners[column]
        distances = tf.gather(costs, owner) - rows[owner] - columns
        nearer = ~reached & (distances < slack)
        slack = tf.where(nearer, distances, slack)
        came_from = tf.where(nearer, column, came_from)
        open_slack = tf.where(reached, _ENDLESS, slack)
        following = tf.argmin(open_slack, output_type=tf.int32)
        step = open_slack[following]
        held = tf.reduce_any((owners[None] == tf.range(tf.shape(rows)[0])[:, None]) & reached[None], axis=1)
        return (
            following,
            rows + tf.where(held, step, 0.0),
            columns - tf.where(reached, step, 0.0),
            tf.where(reached, slack, slack - step),
            came_from,
            reached,
        )

    column, row_prices, column_prices, _, came_from, _ = tf.while_loop(
        lambda column, *_: owners[column] != _FREE, grow, start
    )

    def shift(column: Tensors, owners: Tensors) -> tuple[Tensors, Tensors]:
        before = came_from[column]
        return before, tf.tensor_scatter_nd_update(owners, [[column]], [owners[before]])

    _, owners = tf.while_loop(lambda column, _: column != 0, shift, (column, owners))
    return row_prices, column_prices, owners
