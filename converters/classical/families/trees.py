"""scikit-learn's decision trees and random forests.

Source: sklearn/tree/_tree.pyx, sklearn/tree/_classes.py, sklearn/ensemble/_forest.py (1.9).

- dtype: X is cast to float32; ``x <= threshold`` compares it with a float64 threshold. For float32 x
  that is the same as ``x <= t`` with t the largest float32 not above the threshold; where sums are
  to be float64 the graph compares float64 x with the largest float64 that rounds to such a float32.
- NaN goes where ``missing_go_to_left`` says; fit sets it to the larger child where it saw no NaN.
- leaf values are float64. A forest adds the trees' values one after another, then divides by their
  number. Ties of votes are decided by the last bit of that sum, so the graph adds in the same
  order: leaves give row numbers of a value table, and CumSum over axis 1 of [N, trees, K] adds
  trees in their order (ReduceSum does not).
- label: argmax of the (summed) values, the first of equals.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Optional, Sequence

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.graph import Value
from converters.classical.releases import class_shares
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph


AVERAGE, SUM = 0, 1
"""What TreeEnsemble makes of the leaves of all trees."""


@record
class Tree:
    """One binary tree as arrays over its nodes; node 0 is the root, `left` is -1 in a leaf.

    A row goes left where ``x[feature] <= threshold``, or where it is NaN and `nan_left`.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    nan_left: Optional[np.ndarray] = None
    modes: Optional[np.ndarray] = None
    """One operator for each node: 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=; None for <= everywhere."""

    @property
    def leaves(self) -> np.ndarray:
        """The numbers of the leaf nodes, ascending."""
        import numpy as np

        return np.flatnonzero(self.left < 0)


def leaf_rows(graph: Graph, x: Value, trees: Sequence[Tree]) -> Value:
    """The leaf each tree ends in: [N, trees] int64, leaves numbered through all trees.

    `x` is float64 or float32 [N, F]; leaf number ``i`` of tree ``t`` (in the order of
    ``trees[t].leaves``) is ``i`` plus the leaves of the trees before it.
    """
    import numpy as np

    starts = np.cumsum([0] + [len(tree.leaves) for tree in trees])
    if x.dtype == "float32" and starts[-1] >= 2**24:
        raise graph.refuse(f"{starts[-1]} leaves are too many to be numbered in float32")
    weights = np.arange(starts[-1], dtype=x.dtype)
    return graph.cast(ensemble(graph, x, trees, weights, one_target_each(trees)), "int64")


def one_target_each(trees: Sequence[Tree]) -> np.ndarray:
    """The targets of all leaves where each tree has a target of its own."""
    import numpy as np

    return np.repeat(np.arange(len(trees)), [len(tree.leaves) for tree in trees])


def mean(graph: Graph, x: Value, trees: Sequence[Tree], weights: Sequence[np.ndarray]) -> Value:
    """The mean of one float per leaf over all trees, [N, 1], in x's dtype; order of adding not fixed."""
    import numpy as np

    values = np.concatenate([np.asarray(w, dtype=x.dtype) for w in weights])
    return _node(graph, x, _attributes(trees, values, np.zeros(len(values), dtype=np.int64)), AVERAGE)


def summed_in_order(graph: Graph, rows: Value, table: np.ndarray, trees: int) -> Value:
    """table[rows] added tree after tree: rows [N, trees] int64, table [leaves, K]; gives [N, K]."""
    if trees == 1:
        return idioms.take(graph, table, idioms.flat(graph, rows))
    return added(graph, idioms.take(graph, table, rows), trees, axis=1)


def added(graph: Graph, values: Value, count: int, axis: int = 0) -> Value:
    """The sum over an axis, which has `count` entries, added strictly one after the other."""
    import numpy as np

    running = graph.op("CumSum", values, np.array(axis, dtype=np.int64))
    return graph.op("Gather", running, np.array(count - 1, dtype=np.int64), axis=axis)


def ensemble(
    graph: Graph, x: Value, trees: Sequence[Tree], weights: np.ndarray, targets: np.ndarray
) -> Value:
    """A TreeEnsemble node (ai.onnx.ml 5), sums per target: [N, largest target + 1] in x's dtype."""
    return _node(graph, x, _attributes(trees, weights.astype(x.dtype), targets), SUM)


def _node(graph: Graph, x: Value, attributes: dict[str, Any], aggregate: int) -> Value:
    return graph.op("TreeEnsemble", x, domain="ai.onnx.ml", aggregate_function=aggregate, **attributes)


def _attributes(trees: Sequence[Tree], weights: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Of a TreeEnsemble node in the dtype of the weights."""
    import numpy as np
    from onnx import numpy_helper

    parts, nodes, leaves = [], 0, 0
    for tree in trees:
        parts.append(_columns(tree, nodes, leaves))
        nodes += len(parts[-1]["nodes_splits"])
        leaves += len(tree.leaves)
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    splits = table.pop("nodes_splits").astype(weights.dtype)
    modes = table.pop("nodes_modes").astype(np.uint8)
    attributes: dict[str, Any] = {name: column.astype(int).tolist() for name, column in table.items()}
    attributes["nodes_splits"] = numpy_helper.from_array(splits, "splits")
    attributes["nodes_modes"] = numpy_helper.from_array(modes, "modes")
    attributes["leaf_weights"] = numpy_helper.from_array(weights, "weights")
    attributes["leaf_targetids"] = np.asarray(targets).astype(int).tolist()
    attributes["n_targets"] = int(np.max(targets)) + 1
    return attributes


def _columns(tree: Tree, nodes: int, leaves: int) -> dict[str, np.ndarray]:
    """The attributes of one tree behind `nodes` nodes and `leaves` leaves of others.

    A tree that is one leaf gets a split with equal ends.
    """
    import numpy as np

    leaf = tree.left < 0
    if leaf[0]:
        both = np.array([1, -1])
        return _columns(Tree(np.zeros(2, np.int64), np.zeros(2), both, both), nodes, leaves)
    inner = np.flatnonzero(~leaf)
    place = np.where(leaf, np.cumsum(leaf) - 1 + leaves, np.cumsum(~leaf) - 1 + nodes)
    yes, no = tree.left[inner], tree.right[inner]
    zeros = np.zeros(len(tree.left), dtype=np.int64)
    return {
        "tree_roots": np.array([nodes]),
        "nodes_splits": tree.threshold[inner],
        "nodes_modes": (zeros if tree.modes is None else tree.modes)[inner],
        "nodes_featureids": tree.feature[inner],
        "nodes_truenodeids": place[yes],
        "nodes_falsenodeids": place[no],
        "nodes_trueleafs": leaf[yes],
        "nodes_falseleafs": leaf[no],
        "nodes_missing_value_tracks_true": (zeros if tree.nan_left is None else tree.nan_left)[inner],
    }


def tree_of(estimator: Any, features: Any = None) -> Tree:
    """The arrays of a fitted sklearn.tree estimator; `features` are the columns of X that it was given."""
    import numpy as np

    tree = estimator.tree_
    nan_left = getattr(tree, "missing_go_to_left", None)
    columns = tree.feature if features is None else np.asarray(features)[np.maximum(tree.feature, 0)]
    return Tree(columns, tree.threshold, tree.children_left, tree.children_right, nan_left)


def rounded_down(tree: Tree) -> Tree:
    """A tree that says of every float32 x what `tree` says, with thresholds of float32."""
    import numpy as np

    with np.errstate(over="ignore"):
        single = tree.threshold.astype(np.float32)
        lower = np.nextafter(single, np.float32(-np.inf))
    return dataclasses.replace(tree, threshold=np.where(single > tree.threshold, lower, single))


def single(graph: Graph, X: Features) -> Value:
    """X rounded to float32, for trees that are `rounded_down`."""
    return graph.cast(numeric(graph, X).value, "float32")


def widened(tree: Tree) -> Tree:
    """A tree that says of every float64 x what `tree` says of x rounded to float32.

    x rounds to a float32 at or below t up to half way to the next float32, and there if t is even.
    """
    import numpy as np

    lower = rounded_down(tree).threshold.astype(np.float32)
    with np.errstate(over="ignore"):
        upper = np.nextafter(lower, np.float32(np.inf))
    # Half a step beyond the largest float32, from where on numbers round to infinity.
    end = float(np.finfo(np.float32).max) + 2.0**103
    middle = np.clip((lower.astype(float) + upper) / 2, -end, end)
    even = (lower.view(np.int32) & 1 == 0) | np.isinf(lower)
    threshold = np.where(even, middle, np.nextafter(middle, -np.inf))
    return dataclasses.replace(tree, threshold=np.where(lower == np.inf, np.inf, threshold))


def double(graph: Graph, X: Features) -> Value:
    """X in float64, for trees that are `widened`; whole numbers are rounded once, to float32."""
    value = numeric(graph, X).value
    return graph.cast(value if value.dtype.startswith("float") else graph.cast(value, "float32"), "float64")


def leaf_table(estimators: Sequence[Any]) -> np.ndarray:
    """The values of all leaves, [leaves, outputs, classes] float64."""
    import numpy as np

    return np.concatenate([e.tree_.value[tree_of(e).leaves] for e in estimators])


def threshold_facts(estimators: Sequence[Any], width: int) -> list[Feature]:
    """The thresholds of scikit-learn trees, feature by feature."""
    import numpy as np

    features = np.concatenate([e.tree_.feature for e in estimators])
    thresholds = np.concatenate([e.tree_.threshold for e in estimators])
    return [jumps(thresholds[features == i]) for i in range(width)]


class TreeModel(Emitter):
    """A single tree, or a forest: the mean of its trees in their order."""

    def trees(self) -> list[Any]:
        return [self.estimator]

    def facts(self) -> list[Feature]:
        return threshold_facts(self.trees(), self.width)

    def tables(self) -> list[np.ndarray]:
        """The values of all leaves for each output, [leaves, classes or 1]."""
        table = leaf_table(self.trees())
        return [table[:, k, : self.class_count(k)] for k in range(table.shape[1])]

    def outputs(self, X: Features, tables: Sequence[np.ndarray]) -> list[Value]:
        """One [N, classes or 1] mean leaf value for each output."""
        trees = self.trees()
        votes = [Votes(self.graph, list(map(tree_of, trees)), one) for one in tables]
        totals = [one.total(X) for one in votes]
        return totals if len(trees) == 1 else [self.graph.div(one, float(len(trees))) for one in totals]

    def class_count(self, output: int) -> int:
        import numpy as np

        return int(np.atleast_1d(self.estimator.n_classes_)[output])


class Votes:
    """The sum of the leaves' rows of a table [leaves, K], tree after tree, to the last bit.

    Where every order of adding gives the same (whole votes, or binary fractions that never fill a
    float's digits) the tree node itself adds. Else rows are looked up and added in order.
    """

    def __init__(self, graph: Graph, trees: Sequence[Tree], table: np.ndarray) -> None:
        self.graph = graph
        self.trees = trees
        self.table = table

    def total(self, X: Features) -> Value:
        """[N, K] float64."""
        graph, count, classes = self.graph, len(self.trees), self.table.shape[1]
        if classes == 2 and _is_rest(self.table) and (count == 1 or _adds_exactly(self.table, count)):
            return self._two_classes(double(graph, X))
        if count > 1 and classes > 2 and _whole_votes(self.table):
            return self._whole(double(graph, X))
        if count == 1:
            wide = [widened(tree) for tree in self.trees]
            return graph.op("GatherND", self.table, leaf_rows(graph, double(graph, X), wide))
        trees = [rounded_down(tree) for tree in self.trees]
        return summed_in_order(graph, leaf_rows(graph, single(graph, X), trees), self.table, count)

    def _two_classes(self, x: Value) -> Value:
        """The second class is added; the first is what is left of the number of trees."""
        import numpy as np

        trees, zeros = [widened(tree) for tree in self.trees], np.zeros(len(self.table), dtype=np.int64)
        second = ensemble(self.graph, x, trees, self.table[:, 1], zeros)
        return idioms.two_columns(self.graph, second, float(len(trees)))

    def _whole(self, x: Value) -> Value:
        """Each leaf votes for one class; a leaf of weight 0 stands for a class that no leaf votes for."""
        import numpy as np

        nothing = Tree(np.zeros(1, np.int64), np.zeros(1), np.array([-1]), np.array([-1]))
        weights = np.append(np.ones(len(self.table)), 0.0)
        targets = np.append(self.table.argmax(axis=1), self.table.shape[1] - 1)
        return ensemble(self.graph, x, [*map(widened, self.trees), nothing], weights, targets)


def _whole_votes(table: np.ndarray) -> bool:
    return bool(((table == 0) | (table == 1)).all() and (table.sum(axis=1) == 1).all())


def _is_rest(table: np.ndarray) -> bool:
    """Whether the first column is what the second leaves of 1, to the last bit."""
    return bool((table[:, 0] == 1.0 - table[:, 1]).all())


def _adds_exactly(table: np.ndarray, count: int) -> bool:
    """Whether sums of `count` rows with numbers from 0 to 1 are exact in float64 in any order."""
    import numpy as np

    scaled = table * 2.0**40
    return bool(count < 2**12 and (scaled == np.floor(scaled)).all() and table.min() >= 0)


class TreeClassifier(TreeModel):
    def shares(self) -> list[np.ndarray]:
        return [class_shares(table) for table in self.tables()]

    def predict_proba(self, X: Features) -> Any:
        results = self.outputs(X, self.shares())
        return results[0] if self.estimator.n_outputs_ == 1 else results

    def predict(self, X: Features) -> Value:
        labels = self.estimator.classes_ if self.estimator.n_outputs_ > 1 else [self.estimator.classes_]
        # A single tree compares what its leaves hold, even where that is not yet divided.
        tables = self.shares() if len(self.trees()) > 1 else self.tables()
        indices = [idioms.argmax(self.graph, output) for output in self.outputs(X, tables)]
        chosen = [idioms.classes(self.graph, names, index) for names, index in zip(labels, indices)]
        return chosen[0] if len(chosen) == 1 else idioms.stack(self.graph, chosen)


class TreeRegressor(TreeModel):
    def class_count(self, output: int) -> int:
        return 1

    def predict(self, X: Features) -> Value:
        graph, trees = self.graph, self.trees()
        if self.estimator.n_outputs_ > 1:
            return idioms.concat(graph, self.outputs(X, self.tables()))
        leaves = [tree.tree_.value[tree_of(tree).leaves, 0, 0] for tree in trees]
        wide = [widened(tree_of(tree)) for tree in trees]
        return idioms.flat(graph, mean(graph, double(graph, X), wide, leaves))


class ForestClassifier(TreeClassifier):
    def trees(self) -> list[Any]:
        return list(self.estimator.estimators_)


class ForestRegressor(TreeRegressor):
    def trees(self) -> list[Any]:
        return list(self.estimator.estimators_)


EMITTERS = {
    "sklearn.tree.DecisionTreeClassifier": TreeClassifier,
    "sklearn.tree.ExtraTreeClassifier": TreeClassifier,
    "sklearn.tree.DecisionTreeRegressor": TreeRegressor,
    "sklearn.tree.ExtraTreeRegressor": TreeRegressor,
    "sklearn.ensemble.RandomForestClassifier": ForestClassifier,
    "sklearn.ensemble.ExtraTreesClassifier": ForestClassifier,
    "sklearn.ensemble.RandomForestRegressor": ForestRegressor,
    "sklearn.ensemble.ExtraTreesRegressor": ForestRegressor,
}
