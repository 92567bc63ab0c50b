"""XGBoost: classifiers, regressors, rankers and random forests; gbtree, dart and gblinear.

Source: src/predictor/cpu_predictor.cc, src/gbm/{gbtree,gblinear}.cc, python-package/xgboost/sklearn.py (3.2).

- dtype: every input is rounded to float32; a value equal to ``missing`` is missing, as is NaN, and as is
  what a sparse matrix does not store: its zeros.
- comparison: ``x < threshold`` in float32; missing goes by default_left.
- categories: a code in the split's set goes right; any other, one below 0 too, goes left.
  Columns that were pandas categoricals give the position of their value among the levels.
- sums: float32, first base_score as a margin, then tree after tree. dart multiplies each leaf
  by the tree's weight, rounded to float32. Trees of one class add to that class (`tree_info`).
- predict uses the trees up to best_iteration where training stopped early.
- labels: probability above 0.5, or the first of the largest.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, Table, columns
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps, levels
from converters.classical.families import xgboost_links as links
from converters.classical.families.boosted import (
    Boosted,
    SetSplit,
    ordered_sets,
    set_columns,
    sums,
    vector_sums,
    with_sets,
)
from converters.classical.families.trees import added
from converters.classical.families.xgboost_model import (
    Learner,
    leaf_values,
    read,
    set_splits,
    tree_arrays,
    vector_size,
)

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value


class XGBoost(Emitter):
    """Margins of an XGBoost estimator, and what is known of its features."""

    @cached_property
    def learner(self) -> Learner:
        booster = self.estimator.get_booster()
        learner = read(booster, self._iterations())
        if learner.objective not in links.KNOWN:
            raise self.refuse(
                f"the objective {learner.objective!r} is unknown: its link function cannot be told",
                hint="Convert with a newer zoo, or report the objective.",
            )
        return learner

    def _iterations(self) -> int | None:
        if self.estimator.booster == "gblinear":
            return None
        best = getattr(self.estimator, "best_iteration", None)
        return None if best is None else int(best) + 1

    @property
    def width(self) -> int:
        return self.learner.features

    # --- inputs -----------------------------------------------------------------------------------

    def rows(self, X: Features) -> Value:
        """X in float32 with NaN for what is missing."""
        graph = self.graph
        if isinstance(X, Matrix):
            value = graph.cast(X.value, "float32")
        else:
            value = idioms.concat(graph, [self._column(X, i) for i in range(X.width)])
        if isinstance(X, Matrix) and X.sparse:
            value = graph.where(graph.equal(X.value, 0), float("nan"), value)
        missing = self.estimator.missing
        if missing is None or missing != missing:
            return value
        return graph.where(graph.equal(value, float(missing)), float("nan"), value)

    def _column(self, X: Table, index: int) -> Value:
        import numpy as np

        column, known = columns(self.graph, X)[index].value, self.learner.levels[index]
        if known is None:
            if column.dtype == "string":
                raise self.refuse(f"column {index} holds text, and the model keeps no categories for it")
            return self.graph.cast(column, "float32")
        codes = np.arange(len(known), dtype=np.int64)
        column = self.graph.cast(column, "int64") if column.dtype == "bool" else column
        keys = known if column.dtype == "string" else np.asarray(known, dtype=column.dtype)
        code = self.graph.cast(idioms.lookup(self.graph, column, keys, codes, -1), "float32")
        return self.graph.where(self.graph.less(code, 0.0), float("nan"), code)

    # --- margins ----------------------------------------------------------------------------------

    def margins(self, X: Features) -> Value:
        """The sums before the link, [N, groups] float32."""
        import numpy as np

        learner, x = self.learner, self.rows(X)
        base = links.base_margin(learner.objective, learner.base).astype(np.float32)
        start = np.broadcast_to(base, (learner.groups,)).copy()
        if learner.booster == "gblinear":
            return self._linear(x, start)
        splits = ordered_sets(split for tree in learner.trees for split in set_splits(tree).values())
        if splits:
            x = with_sets(self.graph, x, self._codes(x, splits), splits, inside=1)
        return self._summed(x, set_columns(splits, learner.features), start)

    def _summed(self, x: Value, places: dict[SetSplit, int], start: np.ndarray) -> Value:
        learner = self.learner
        trees = tuple(tree_arrays(tree, places) for tree in learner.trees)
        values = tuple(map(self._weighted, range(len(trees))))
        if any(vector_size(tree) > 1 for tree in learner.trees):
            return vector_sums(self.graph, x, trees, values, start)
        boosted = Boosted(trees, values, learner.tree_groups)
        return sums(self.graph, x, boosted, start, exact=learner.objective in links.SOFTMAX)

    def _weighted(self, index: int) -> np.ndarray:
        import numpy as np

        values = leaf_values(self.learner.trees[index])
        return values * np.float32(self.learner.weights[index]) if self.learner.weights else values

    def _codes(self, x: Value, splits: list[SetSplit]) -> dict[int, Value]:
        """Features as codes of their categories: -1 for what is below 0."""
        graph, codes = self.graph, {}
        for index in {split.feature for split in splits}:
            value = idioms.take_columns(graph, x, [index])
            codes[index] = graph.where(graph.less(value, 0.0), -1.0, value)
        return codes

    def _linear(self, x: Value, start: np.ndarray) -> Value:
        """bias + base, then one feature after the other; a missing one adds nothing.

        gblinear of 3.2 starts every group with the first base_score.
        """
        import numpy as np

        graph, count = self.graph, self.learner.groups
        table = np.array(self.learner.weights, dtype=np.float32).reshape(-1, count)
        begin = idioms.broadcast_rows(graph, (table[-1] + start[0]).reshape(1, -1))
        x = graph.op("Unsqueeze", x, np.array([2]))
        products = graph.where(
            graph.op("IsNaN", x), 0.0, graph.mul(x, table[:-1])
        )  # a weight may be infinite
        terms = graph.op("Transpose", graph.op("Concat", begin, products, axis=1), perm=[1, 0, 2])
        return added(graph, terms, self.width + 1)

    def facts(self) -> list[Feature]:
        import numpy as np

        learner = self.learner
        found: list[list[float]] = [[] for _ in range(learner.features)]
        members: list[set[int]] = [set() for _ in range(learner.features)]
        for tree in learner.trees:
            sets = set_splits(tree)
            inner = np.flatnonzero(np.array(tree["left_children"]) >= 0)
            for node in inner:
                if node not in sets:
                    found[tree["split_indices"][node]].append(
                        float(np.float32(tree["split_conditions"][node]))
                    )
            for split in sets.values():
                members[split.feature].update(split.members)
        return [self._fact(i, found[i], members[i]) for i in range(learner.features)]

    def _fact(self, index: int, thresholds: list[float], members: set[int]) -> Feature:
        known = self.learner.levels[index] if self.learner.levels else None
        if known is not None and hasattr(self.estimator, "feature_names_in_"):
            return levels(known)
        types = self.learner.types
        if members or (types and types[index] == "c"):
            return jumps([*range(max(members, default=0) + 2), -1.0, 0.5])
        return jumps(thresholds)


class XGBRegressor(XGBoost):
    """predict: [N], or [N, targets]."""

    def predict(self, X: Features) -> Value:
        result = links.answers(self.graph, self.learner.objective, self.margins(X))
        narrow = self.learner.groups == 1 or self.learner.objective == "multi:softmax"
        return idioms.flat(self.graph, result) if narrow else result


class XGBClassifier(XGBoost):
    """Labels and probabilities as xgboost.sklearn makes them of Booster.predict."""

    def predict(self, X: Features) -> Value:
        graph, learner = self.graph, self.learner
        answers = links.answers(graph, learner.objective, self.margins(X))
        if learner.objective == "multi:softmax":
            return graph.cast(idioms.flat(graph, answers), "int64")
        if learner.groups > 1 and self.estimator.n_classes_ != 2:
            return idioms.argmax(graph, answers)
        if learner.groups > 1:
            return graph.cast(graph.greater(answers, 0.5), "float64")
        # p > 1 - p, rounded, says the same as p > 0.5: from 0.5 to 2 the difference is exact.
        return idioms.argmax(graph, idioms.two_columns(graph, answers))

    def predict_proba(self, X: Features) -> Value:
        graph, learner = self.graph, self.learner
        margins = self.margins(X)
        if learner.objective == "multi:softmax":
            return idioms.softmax(graph, margins)
        answers = links.answers(graph, learner.objective, margins)
        if learner.groups > 1:
            return answers
        return idioms.two_columns(graph, answers)


EMITTERS = {
    "xgboost.sklearn.XGBClassifier": XGBClassifier,
    "xgboost.sklearn.XGBRFClassifier": XGBClassifier,
    "xgboost.sklearn.XGBRegressor": XGBRegressor,
    "xgboost.sklearn.XGBRFRegressor": XGBRegressor,
    "xgboost.sklearn.XGBRanker": XGBRegressor,
}
