"""Spark ML's trees, forests and boosted trees.

Source: org.apache.spark.ml.tree.{Node,Split,treeModels} and the models of ml.classification and ml.regression
(Spark 4.0).

- a row goes left where ``x <= threshold`` in float64; a missing number goes right.
- of a split on categories the smaller of the two sets is kept: what is not in a kept left set goes right,
  what is not in a kept right set goes left. Its members are compared as numbers.
- a tree's classes are the weights in its leaf; a forest adds their shares, tree after tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, List, Tuple

from converters import spark_linear
from converters.classical import idioms
from converters.classical.families.boosted import Boosted, sums
from converters.classical.families.trees import Tree, leaf_rows, summed_in_order
from converters.spark_files import Stage, damaged
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value
    from converters.spark_table import Column, Table


@record
class SetSplit:
    """A split on categories: whether the rows with `members` go left, or all others do."""

    feature: int
    members: FrozenSet[float]
    inside_left: bool


@record
class Grown:
    """A tree with, for each of its leaves, the prediction and the weights of the classes."""

    tree: Tree
    predictions: np.ndarray
    stats: np.ndarray


def _grown(table: Table, stage: Stage) -> Tuple[Value, List[Grown]]:
    """The features with a column for each split on categories, and the trees in order."""
    import numpy as np

    rows = stage.rows()
    numbers = sorted({int(row.get("treeID", 0)) for row in rows})
    split: Dict[int, Dict[int, Dict[str, Any]]] = {number: {} for number in numbers}
    for row in rows:
        node = row.get("nodeData", row)
        split[int(row.get("treeID", 0))][int(node["id"])] = node
    width = int(stage.extra["numFeatures"])
    column = table.numbers(stage.column("featuresCol"), width)
    sets: Dict[SetSplit, int] = {}
    found = [_tree(stage, split[number], width, sets) for number in numbers]
    points: Dict[int, List[float]] = {}
    for grown in found:
        inner = (grown.tree.left >= 0) & (grown.tree.feature < width)
        for feature, threshold in zip(grown.tree.feature[inner], grown.tree.threshold[inner]):
            points.setdefault(int(feature), []).append(float(threshold))
    for one in sets:
        points.setdefault(one.feature, []).extend(sorted(one.members))
    table.jump(column, points)
    return _extended(table, column, list(sets)), [
        Grown(grown.tree, grown.predictions, np.asarray(grown.stats)) for grown in found
    ]


def _extended(table: Table, column: Column, sets: List[SetSplit]) -> Value:
    """The features, and 0 where a row goes left at each split on categories, else 1."""
    graph, parts = table.graph, [column.value]
    for one in sets:
        value = idioms.take_columns(graph, column.value, [one.feature])
        hits = [graph.equal(value, member) for member in sorted(one.members)]
        inside = graph.cast(hits[0], "float64") if hits else graph.mul(value, 0.0)
        for hit in hits[1:]:
            inside = graph.add(inside, graph.cast(hit, "float64"))
        parts.append(graph.sub(1.0, inside) if one.inside_left else inside)
    return idioms.concat(graph, parts)


def _tree(stage: Stage, nodes: Dict[int, Dict[str, Any]], width: int, sets: Dict[SetSplit, int]) -> Grown:
    """The arrays of a tree whose nodes have their numbers; `sets` grows by its splits on categories."""
    import numpy as np

    order = sorted(nodes)
    if order != list(range(len(order))) or not order:
        raise damaged(stage.folder, f"the nodes of a tree of {stage.uid} are not all there")
    left = np.array([int(nodes[i]["leftChild"]) for i in order])
    right = np.array([int(nodes[i]["rightChild"]) for i in order])
    inner = left >= 0
    below = np.concatenate([left[inner], right[inner]])
    if len(set(below.tolist())) != len(below) or sorted(below.tolist()) != order[1:]:
        raise damaged(stage.folder, f"the nodes of a tree of {stage.uid} are no tree")
    tests = [_test(stage, nodes[i]["split"], width, sets) if inner[i] else (0, 0.0) for i in order]
    tree = Tree(
        np.array([feature for feature, _ in tests]),
        np.array([threshold for _, threshold in tests], dtype=np.float64),
        np.where(inner, left, -1),
        np.where(inner, right, -1),
    )
    ends = [nodes[int(i)] for i in tree.leaves]
    predictions = np.array([float(row["prediction"]) for row in ends])
    return Grown(tree, predictions, np.array([row["impurityStats"] for row in ends], dtype=np.float64))


def _test(stage: Stage, split: Dict[str, Any], width: int, sets: Dict[SetSplit, int]) -> Tuple[int, float]:
    """The column that a node looks at, and its threshold."""
    feature, kept = int(split["featureIndex"]), [float(x) for x in split["leftCategoriesOrThreshold"]]
    count = int(split["numCategories"])
    if not 0 <= feature < width or (count < 0 and len(kept) != 1):
        raise damaged(stage.folder, f"a split of {stage.uid} on feature {feature}")
    if count < 0:
        return feature, kept[0]
    inside_left = len(kept) <= count // 2
    members = frozenset(kept) if inside_left else frozenset(map(float, range(count))) - frozenset(kept)
    one = SetSplit(feature, members, inside_left)
    return sets.setdefault(one, width + len(sets)), 0.5


# --- the models ---------------------------------------------------------------------------------------


def _summed(table: Table, stage: Stage, weights: List[float] | None = None) -> Value:
    """The sum of the trees' predictions, [N, 1], each times its weight."""
    import numpy as np

    value, trees = _grown(table, stage)
    factors = weights or [1.0] * len(trees)
    if len(factors) != len(trees):
        raise damaged(stage.folder, f"{stage.uid} has {len(trees)} trees and {len(factors)} weights")
    values = tuple(grown.predictions * factor for grown, factor in zip(trees, factors))
    boosted = Boosted(tuple(grown.tree for grown in trees), values, (0,) * len(trees))
    return sums(table.graph, value, boosted, np.zeros(1))


def _weights(stage: Stage) -> List[float]:
    rows = sorted(stage.rows("treesMetadata"), key=lambda row: int(row["treeID"]))
    return [float(row["weights"]) for row in rows]


def _tree_regressor(table: Table, stage: Stage) -> None:
    table.make(stage.column("predictionCol"), _summed(table, stage))
    _refuse_variance(table, stage)


def _forest_regressor(table: Table, stage: Stage) -> None:
    count = float(int(stage.extra["numTrees"]))
    table.make(stage.column("predictionCol"), table.graph.div(_summed(table, stage), count))


def _boosted_regressor(table: Table, stage: Stage) -> None:
    table.make(stage.column("predictionCol"), _summed(table, stage, _weights(stage)))


def _boosted_classifier(table: Table, stage: Stage) -> None:
    """The chance of class 1 is the logistic function of twice the margin."""
    graph, margin = table.graph, _summed(table, stage, _weights(stage))
    raw = idioms.concat(graph, [graph.op("Neg", margin), margin])
    chances = spark_linear.two_chances(graph, raw, 2.0)
    spark_linear.classified(table, stage, (raw, chances, 2))


def _tree_classifier(table: Table, stage: Stage) -> None:
    """Raw scores are the weights of the classes in the leaf."""
    value, trees = _grown(table, stage)
    count = trees[0].stats.shape[1]
    raw = summed_in_order(table.graph, leaf_rows(table.graph, value, [trees[0].tree]), trees[0].stats, 1)
    spark_linear.classified(table, stage, (raw, _shares(table, raw, count), count))


def _forest_classifier(table: Table, stage: Stage) -> None:
    """Raw scores are the shares of the classes in the leaves of all trees, added."""
    import numpy as np

    value, trees = _grown(table, stage)
    stats = np.concatenate([grown.stats for grown in trees])
    total = stats.sum(axis=1, keepdims=True)
    shares = np.divide(stats, total, out=np.zeros_like(stats), where=total != 0)
    rows = leaf_rows(table.graph, value, [grown.tree for grown in trees])
    raw = summed_in_order(table.graph, rows, shares, len(trees))
    count = stats.shape[1]
    spark_linear.classified(table, stage, (raw, _shares(table, raw, count), count))


def _shares(table: Table, raw: Value, count: int) -> Value:
    """Divided by their sum, where that is not 0."""
    total = idioms.row_sum(table.graph, raw)
    return table.graph.where(table.graph.equal(total, 0.0), 1.0 / count, table.graph.div(raw, total))


def _refuse_variance(table: Table, stage: Stage) -> None:
    if stage.param("varianceCol"):
        raise table.graph.refuse("varianceCol is not converted", "Save the model without it.")


WRITERS: Dict[str, Callable[[Table, Stage], None]] = {
    "classification.DecisionTreeClassificationModel": _tree_classifier,
    "classification.RandomForestClassificationModel": _forest_classifier,
    "classification.GBTClassificationModel": _boosted_classifier,
    "regression.DecisionTreeRegressionModel": _tree_regressor,
    "regression.RandomForestRegressionModel": _forest_regressor,
    "regression.GBTRegressionModel": _boosted_regressor,
}
