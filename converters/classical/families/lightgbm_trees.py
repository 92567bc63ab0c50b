"""LightGBM: classifiers, regressors, rankers and plain Boosters; gbdt, dart, rf and linear trees.

Source: include/LightGBM/tree.h, src/boosting/gbdt_prediction.cpp, src/objective/*.hpp,
python-package/lightgbm/{basic,sklearn}.py (4.7).

- dtype: float64; float32 rows widen. An integer matrix is first rounded to float32, a frame is not.
- comparison: ``x <= threshold`` in float64. Numbers up to 1e-35 are read as 0: thresholds so near to 0 move.
- missing, by the feature's kind: NaN by default_left; or NaN and 0 by default_left
  (zero_as_missing); or NaN is read as 0 (use_missing=false).
- categories: the number is truncated; members of the split's set go left; NaN, negative and
  unseen ones go right. A pandas categorical gives the position of its value among the levels.
- sums: float64, tree after tree; rf divides by the number of rounds, but not for raw scores.
- linear trees: constant plus coefficient times value; the leaf's plain value where one of them is NaN.
- links by objective; the sigmoid's factor is the model's.
- labels: the first of the largest probability. best_iteration is used where training stopped early.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Table, columns
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps, levels
from converters.classical.families import lightgbm_links as links
from converters.classical.families.boosted import Boosted, ordered_sets, set_columns, sums, with_sets
from converters.classical.families.lightgbm_linear import linear_values
from converters.classical.families.lightgbm_model import (
    MISSING_ZERO,
    ZERO,
    Forest,
    read,
    set_splits,
    tree_arrays,
)

if TYPE_CHECKING:
    from converters.classical.families.trees import Tree
    from converters.classical.graph import Value

_AT_PREDICT = ("pred_early_stop", "start_iteration_predict", "num_iteration_predict")


class LightGBM(Emitter):
    """Raw scores and answers of a LightGBM estimator."""

    @property
    def booster(self) -> Any:
        return self.estimator.booster_

    @cached_property
    def forest(self) -> Forest:
        forest = read(self.booster.model_to_string())
        if not links.known(forest.objective):
            raise self.refuse(
                f"the objective {' '.join(forest.objective)!r} is unknown: its link function cannot be told",
                hint="Convert with a newer zoo, or report the objective.",
            )
        if not forest.levels_known and hasattr(self.estimator, "feature_names_in_"):
            raise self.refuse(
                "ordered pandas categoricals: the model does not say which columns they are",
                hint="Train with their codes (df[column].cat.codes), or with unordered categoricals.",
            )
        self._refuse_settings()
        return forest

    def _refuse_settings(self) -> None:
        given = self.estimator.get_params() if hasattr(self.estimator, "get_params") else {}
        used = [name for name in _AT_PREDICT if given.get(name)]
        if used:
            raise self.refuse(
                f"{', '.join(used)} cuts the sum of the trees short at predict",
                hint="Set it back (estimator.set_params) and convert again.",
            )

    # --- inputs -----------------------------------------------------------------------------------

    def rows(self, X: Features) -> Value:
        """X in float64; categoricals as their codes, NaN where they are none of the levels."""
        graph = self.graph
        if isinstance(X, Table):
            return idioms.concat(graph, [self._column(X, i) for i in range(X.width)])
        floating = X.dtype.startswith("float")
        return graph.cast(X.value if floating else graph.cast(X.value, "float32"), "float64")

    def _column(self, X: Table, index: int) -> Value:
        import numpy as np

        graph, column, known = self.graph, columns(self.graph, X)[index].value, self.forest.levels[index]
        if known is None:
            if column.dtype == "string":
                raise self.refuse(f"column {index} holds text, and the model keeps no categories for it")
            return graph.cast(column, "float64")
        codes = np.arange(len(known), dtype=np.int64)
        column = graph.cast(column, "int64") if column.dtype == "bool" else column
        keys = known if column.dtype == "string" else np.asarray(known, dtype=column.dtype)
        code = graph.cast(idioms.lookup(graph, column, keys, codes, -1), "float64")
        return graph.where(graph.less(code, 0.0), float("nan"), code)

    # --- scores -----------------------------------------------------------------------------------

    def raw(self, X: Features) -> Value:
        """The sums of the trees, [N, outputs] float64."""
        import numpy as np

        forest, x = self.forest, self.rows(X)
        trees, extended = self._trees(x)
        groups = tuple(i % forest.outputs for i in range(len(trees)))
        if any(tree.terms for tree in forest.trees):
            return linear_values(self.graph, x, extended, trees, forest)
        values = tuple(tree.values for tree in forest.trees)
        boosted = Boosted(trees, values, groups)
        return sums(self.graph, extended, boosted, np.zeros(forest.outputs), exact=forest.outputs > 1)

    def _trees(self, x: Value) -> tuple[tuple[Tree, ...], Value]:
        """The trees, and x with the columns that they look at."""
        graph, forest, width = self.graph, self.forest, self.width
        zeros: dict[int, int] = {}
        parts = [x]
        for feature in sorted({int(f) for t in forest.trees for f in t.feature[t.missing == MISSING_ZERO]}):
            value = idioms.take_columns(graph, x, [feature])
            zeros[feature] = width + len(parts) - 1
            small = graph.less_equal(graph.op("Abs", value), ZERO)
            parts.append(graph.where(small, float("nan"), value))
        extended = idioms.concat(graph, parts)
        splits = ordered_sets(split for tree in forest.trees for split in set_splits(tree).values())
        if splits:
            codes = {split.feature: self._code(x, split.feature) for split in splits}
            extended = with_sets(graph, extended, codes, splits, inside=0)
        places = set_columns(splits, width + len(zeros))
        return tuple(tree_arrays(tree, places, zeros) for tree in forest.trees), extended

    def _code(self, x: Value, feature: int) -> Value:
        """The category of a feature: truncated towards 0, -1 where it is none or missing."""
        graph, value = self.graph, idioms.take_columns(self.graph, x, [feature])
        valid = graph.op("And", graph.greater(value, -1.0), graph.less(value, 2.0**31))
        return graph.where(valid, graph.maximum(value, 0.0), -1.0)

    def answers(self, X: Features) -> Value:
        """What Booster.predict gives, [N, outputs]."""
        forest, scores = self.forest, self.raw(X)
        if forest.averaged and forest.trees:
            scores = self.graph.div(scores, float(len(forest.trees) // forest.outputs))
        return links.answers(self.graph, forest, scores)

    def shaped(self, result: Value) -> Value:
        """[N] where there is one output."""
        return result if self.forest.outputs > 1 else idioms.flat(self.graph, result)

    # --- facts ------------------------------------------------------------------------------------

    def facts(self) -> list[Feature]:
        found: list[list[float]] = [[] for _ in range(self.width)]
        members: list[set[int]] = [set() for _ in range(self.width)]
        for tree in self.forest.trees:
            for split in set_splits(tree).values():
                members[split.feature].update(split.members)
            plain = ~tree.categorical
            for feature, threshold in zip(tree.feature[plain], tree.threshold[plain]):
                found[feature].append(float(threshold))
        return [self._fact(i, found[i], members[i]) for i in range(self.width)]

    def _fact(self, index: int, thresholds: list[float], members: set[int]) -> Feature:
        known = self.forest.levels[index]
        if known is not None and hasattr(self.estimator, "feature_names_in_"):
            return levels(known)
        if members:
            return jumps([*range(max(members) + 2), -1.0, -0.5, 0.5])
        return jumps(thresholds)


class LGBMRegressor(LightGBM):
    """predict: [N], or [N, outputs]."""

    def predict(self, X: Features) -> Value:
        return self.shaped(self.answers(X))


class LGBMClassifier(LightGBM):
    """Labels and probabilities as lightgbm.sklearn makes them of Booster.predict."""

    def predict(self, X: Features) -> Value:
        if callable(self.estimator.objective):
            return self.shaped(self.answers(X))
        index = idioms.argmax(self.graph, self.predict_proba(X))
        return idioms.classes(self.graph, self.estimator.classes_, index)

    def predict_proba(self, X: Features) -> Value:
        result = self.answers(X)
        if callable(self.estimator.objective):
            return self.shaped(result)
        if self.forest.outputs > 1:
            return result
        return idioms.two_columns(self.graph, result)

    def decision_function(self, X: Features) -> Value:
        return self.shaped(self.raw(X))


_FILES = "converters.classical.families.lightgbm_files"
EMITTERS = {
    "lightgbm.sklearn.LGBMClassifier": LGBMClassifier,
    "lightgbm.sklearn.LGBMRegressor": LGBMRegressor,
    "lightgbm.sklearn.LGBMRanker": LGBMRegressor,
    f"{_FILES}.BoosterRegressor": LGBMRegressor,
    f"{_FILES}.BoosterClassifier": LGBMClassifier,
}
