"""scikit-learn's decision trees and random forests.

Source: sklearn/tree/_tree.pyx, sklearn/tree/_classes.py, sklearn/ensemble/_forest.py (1.9).

- dtype: X is cast to float32; ``x <= threshold`` compares it with a float64 threshold. The graph
  casts to float32 and back, and compares in float64: the same for every x, no rounding of
  thresholds needed.
- NaN goes where ``missing_go_to_left`` says; fit sets it to the larger child where it saw no NaN.
- leaf values are float64. A forest adds the trees' values one after another, then divides by their
  number. Ties of votes are decided by the last bit of that sum, so the graph adds in the same
  order: leaves give row numbers of a value table, and CumSum over axis 0 of [trees, N, K] adds
  trees in their order (ReduceSum does not: it multiplies by ones, in blocks).
- label: argmax of the (summed) values, the first of equals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Sequence

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.graph import Value
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph


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
    weights = np.arange(starts[-1], dtype=x.dtype)
    targets = np.repeat(np.arange(len(trees)), np.diff(starts))
    if x.dtype == "float32" and starts[-1] >= 2**24:
        raise graph.refuse(f"{starts[-1]} leaves are too many to be numbered in float32")
    rows = ensemble(graph, x, trees, weights, targets)
    return graph.cast(rows, "int64")


def summed(graph: Graph, x: Value, trees: Sequence[Tree], weights: Sequence[np.ndarray]) -> Value:
    """The sum of one float per leaf over all trees, [N, 1], in x's dtype; order of adding not fixed."""
    import numpy as np

    values = np.concatenate([np.asarray(w, dtype=x.dtype) for w in weights])
    return ensemble(graph, x, trees, values, np.zeros(len(values), dtype=np.int64))


def summed_in_order(graph: Graph, rows: Value, table: np.ndarray, trees: int) -> Value:
    """table[rows] added tree after tree: rows [N, trees] int64, table [leaves, K]; gives [N, K]."""
    by_tree = graph.op("Transpose", rows, perm=[1, 0])
    return added(graph, idioms.take(graph, table, by_tree), trees)


def added(graph: Graph, values: Value, count: int) -> Value:
    """The sum over axis 0, which has `count` entries, added strictly one after the other."""
    import numpy as np

    running = graph.op("CumSum", values, np.array(0, dtype=np.int64))
    return graph.op("Gather", running, np.array(count - 1, dtype=np.int64), axis=0)


def ensemble(
    graph: Graph, x: Value, trees: Sequence[Tree], weights: np.ndarray, targets: np.ndarray
) -> Value:
    """A TreeEnsemble node (ai.onnx.ml 5), sums per target: [N, largest target + 1] in x's dtype."""
    import numpy as np
    from onnx import numpy_helper

    table = _Nodes(x.dtype)
    for tree in trees:
        table.append(tree)
    attributes: dict[str, Any] = {name: list(map(int, values)) for name, values in table.integers.items()}
    attributes["nodes_splits"] = numpy_helper.from_array(np.array(table.splits, dtype=x.dtype), "splits")
    attributes["nodes_modes"] = numpy_helper.from_array(np.array(table.modes, dtype=np.uint8), "modes")
    attributes["leaf_weights"] = numpy_helper.from_array(weights.astype(x.dtype), "weights")
    attributes["leaf_targetids"] = list(map(int, targets))
    count = int(targets.max()) + 1
    return graph.op(
        "TreeEnsemble", x, domain="ai.onnx.ml", n_targets=count, aggregate_function=1, **attributes
    )


class _Nodes:
    """The attribute lists of TreeEnsemble; a tree that is one leaf gets a split with equal ends."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.splits: list[float] = []
        self.modes: list[int] = []
        self.leaves = 0
        names = (
            "featureids",
            "truenodeids",
            "falsenodeids",
            "trueleafs",
            "falseleafs",
            "missing_value_tracks_true",
        )
        self.integers: dict[str, list[int]] = {"tree_roots": [], **{f"nodes_{name}": [] for name in names}}

    def append(self, tree: Tree) -> None:
        import numpy as np

        self.integers["tree_roots"].append(len(self.splits))
        leaf = tree.left < 0
        place = np.where(leaf, np.cumsum(leaf) - 1 + self.leaves, np.cumsum(~leaf) - 1 + len(self.splits))
        if leaf[0]:
            self._node(0, 0.0, 0, (self.leaves, 1), (self.leaves, 1), 0)
        for i in np.flatnonzero(~leaf):
            yes, no = tree.left[i], tree.right[i]
            nan = 0 if tree.nan_left is None else int(tree.nan_left[i])
            mode = 0 if tree.modes is None else int(tree.modes[i])
            ends = (place[yes], int(leaf[yes])), (place[no], int(leaf[no]))
            self._node(int(tree.feature[i]), float(tree.threshold[i]), mode, *ends, nan)
        self.leaves += int(leaf.sum())

    def _node(
        self, feature: int, split: float, mode: int, yes: tuple[int, int], no: tuple[int, int], nan: int
    ) -> None:
        self.splits.append(split)
        self.modes.append(mode)
        row = {"featureids": feature, "truenodeids": yes[0], "trueleafs": yes[1]}
        row.update(falsenodeids=no[0], falseleafs=no[1], missing_value_tracks_true=nan)
        for name, value in row.items():
            self.integers[f"nodes_{name}"].append(int(value))


def tree_of(estimator: Any) -> Tree:
    """The arrays of a fitted sklearn.tree estimator."""
    tree = estimator.tree_
    nan_left = getattr(tree, "missing_go_to_left", None)
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, nan_left)


def as_float32(graph: Graph, X: Features) -> Value:
    """X rounded to float32, held in float64 so that thresholds compare as they are."""
    return graph.cast(graph.cast(numeric(graph, X).value, "float32"), "float64")


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

    def outputs(self, X: Features) -> list[Value]:
        """One [N, classes or 1] mean leaf value for each output."""
        graph, trees = self.graph, self.trees()
        rows = leaf_rows(graph, as_float32(graph, X), [tree_of(tree) for tree in trees])
        table = leaf_table(trees)
        results = []
        for k in range(table.shape[1]):
            total = summed_in_order(graph, rows, table[:, k, : self.class_count(k)], len(trees))
            results.append(total if len(trees) == 1 else graph.div(total, float(len(trees))))
        return results

    def class_count(self, output: int) -> int:
        import numpy as np

        return int(np.atleast_1d(self.estimator.n_classes_)[output])


class TreeClassifier(TreeModel):
    def predict_proba(self, X: Features) -> Any:
        results = self.outputs(X)
        return results[0] if self.estimator.n_outputs_ == 1 else results

    def predict(self, X: Features) -> Value:
        labels = self.estimator.classes_ if self.estimator.n_outputs_ > 1 else [self.estimator.classes_]
        indices = [idioms.argmax(self.graph, output) for output in self.outputs(X)]
        chosen = [idioms.classes(self.graph, names, index) for names, index in zip(labels, indices)]
        return chosen[0] if len(chosen) == 1 else idioms.stack(self.graph, chosen)


class TreeRegressor(TreeModel):
    def class_count(self, output: int) -> int:
        return 1

    def predict(self, X: Features) -> Value:
        graph, trees = self.graph, self.trees()
        if self.estimator.n_outputs_ > 1:
            return idioms.concat(graph, self.outputs(X))
        leaves = [tree.tree_.value[tree_of(tree).leaves, 0, 0] for tree in trees]
        total = summed(graph, as_float32(graph, X), [tree_of(tree) for tree in trees], leaves)
        return idioms.flat(graph, total if len(trees) == 1 else graph.div(total, float(len(trees))))


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
