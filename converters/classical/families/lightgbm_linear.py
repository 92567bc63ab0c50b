"""LightGBM's linear trees: each leaf holds a linear function of some features.

Source: include/LightGBM/tree.h, ``Tree::Predict`` (4.7): constant, plus coefficient times value
for the leaf's features in order; the leaf's plain value where one of them is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from converters.classical import idioms
from converters.classical.families.trees import Tree, added, leaf_rows

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.families.lightgbm_model import Forest
    from converters.classical.graph import Graph, Value


def linear_values(graph: Graph, x: Value, extended: Value, trees: Sequence[Tree], forest: Forest) -> Value:
    """The sums of linear trees, [N, outputs]; `extended` is x with the columns that splits look at."""
    import numpy as np

    rows = leaf_rows(graph, extended, trees)
    coefficients, members, constants, plain = _tables(forest)
    used = np.flatnonzero(members.any(axis=0))
    if len(used):
        values = graph.op("Unsqueeze", idioms.take_columns(graph, x, used), np.array([1]))
        nan = graph.op("IsNaN", values)
        zeroed = graph.where(nan, 0.0, values)
        terms = graph.mul(idioms.take(graph, coefficients[:, used], rows), zeroed)
        total = graph.add(idioms.take(graph, constants, rows), _last_sum(graph, terms))
        hit = graph.mul(idioms.take(graph, members[:, used], rows), graph.cast(nan, "float64"))
        broken = graph.greater(_last_sum(graph, hit), 0.0)
        total = graph.where(broken, idioms.take(graph, plain, rows), total)
    else:
        total = idioms.take(graph, constants, rows)
    rounds = len(trees) // forest.outputs
    by_round = graph.op("Reshape", total, np.array([0, rounds, forest.outputs]))
    return added(graph, graph.op("Transpose", by_round, perm=[1, 0, 2]), rounds)


def _last_sum(graph: Graph, x: Value) -> Value:
    import numpy as np

    return graph.op("ReduceSum", x, np.array([2]), keepdims=0)


def _tables(forest: Forest) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients and members [leaves, features], constants and plain values [leaves], of all trees."""
    import numpy as np

    plain = np.concatenate([tree.values for tree in forest.trees])
    coefficients = np.zeros((len(plain), len(forest.names)))
    members = np.zeros_like(coefficients)
    constants, start = plain.copy(), 0
    for tree in forest.trees:
        if tree.constants is not None:
            constants[start : start + len(tree.values)] = tree.constants
        for leaf, terms in enumerate(tree.terms, start):
            for feature, coefficient in terms:
                coefficients[leaf, feature] += coefficient
                members[leaf, feature] = 1
        start += len(tree.values)
    return coefficients, members, constants, plain
