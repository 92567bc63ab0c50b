"""HistGradientBoostingClassifier and HistGradientBoostingRegressor.

Source: sklearn/ensemble/_hist_gradient_boosting/{gradient_boosting.py,_predictor.pyx} (1.9).

- dtype: X is float64; ``x <= threshold`` in float64; NaN by missing_go_to_left.
- categories: an OrdinalEncoder gives codes, unknown ones NaN, and puts its columns first; members
  of the split's set go left, other known ones right, NaN by missing_go_to_left.
- sums: float64, first the baseline, then tree after tree.
- links: log for poisson and gamma, logistic for two classes, softmax for more. Two classes: the
  second where the sum is above 0.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, floats, join, numeric, select
from converters.classical.emit import Emitter, emitter, transform
from converters.classical.facts import Feature, jumps
from converters.classical.families.boosted import (
    Boosted,
    SetSplit,
    ordered_sets,
    set_columns,
    sums,
    with_sets,
)
from converters.classical.families.trees import Tree
from converters.classical.releases import link_name

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value


class HistGradientBoosting(Emitter):
    """The sums before the link."""

    @cached_property
    def predictors(self) -> list[Any]:
        return [predictor for round_ in self.estimator._predictors for predictor in round_]

    @property
    def encoder(self) -> Any:
        """The fitted ColumnTransformer behind categorical_features, or None."""
        return getattr(self.estimator, "_preprocessor", None)

    @cached_property
    def order(self) -> list[int]:
        """The columns of X in the order of the trees' features: categories come first."""
        import numpy as np

        if self.encoder is None:
            if getattr(self.estimator, "is_categorical_", None) is not None:
                raise self.refuse(
                    "its categories are those of an older scikit-learn",
                    hint="Train it again with scikit-learn 1.4 or later.",
                )
            return list(range(self.width))
        first = np.asarray(self.estimator.is_categorical_)
        return [int(i) for i in (*np.flatnonzero(first), *np.flatnonzero(~first))]

    @property
    def categorical_count(self) -> int:
        return 0 if self.encoder is None else int(sum(self.estimator.is_categorical_))

    def rows(self, X: Features) -> Value:
        """The features of the trees, [N, F] float64."""
        graph, count = self.graph, self.categorical_count
        if count == 0:
            return graph.cast(floats(graph, X).value, "float64")
        parts = [select(graph, X, self.order[:count]), select(graph, X, self.order[count:])]
        coded = transform(graph, self.encoder.named_transformers_["encoder"], parts[0], "encoder")
        if count == self.width:
            return numeric(graph, coded).value
        plain = floats(graph, parts[1])
        return numeric(graph, join(graph, [coded, plain])).value

    def raw(self, X: Features) -> Value:
        """[N, trees per iteration] float64."""
        import numpy as np

        graph, x, estimator = self.graph, self.rows(X), self.estimator
        outputs = estimator.n_trees_per_iteration_
        sets = [_set_splits(predictor) for predictor in self.predictors]
        ordered = ordered_sets(split for one in sets for split in one.values())
        if ordered:
            codes = {s.feature: idioms.take_columns(graph, x, [s.feature]) for s in ordered}
            x = with_sets(graph, x, codes, ordered, inside=0)
        places = set_columns(ordered, self.width)
        trees = tuple(_tree(p.nodes, one, places) for p, one in zip(self.predictors, sets))
        values = tuple(p.nodes["value"][tree.leaves] for p, tree in zip(self.predictors, trees))
        groups = tuple(i % outputs for i in range(len(trees)))
        start = np.broadcast_to(np.ravel(estimator._baseline_prediction), (outputs,)).astype(np.float64)
        return sums(graph, x, Boosted(trees, values, groups), start, exact=outputs > 1)

    def facts(self) -> list[Feature]:
        facts = [Feature() for _ in range(self.width)]
        for place, column in enumerate(self.order):
            found = [p.nodes["num_threshold"][_splits_on(p.nodes, place)] for p in self.predictors]
            facts[column] = jumps(value for values in found for value in values)
        if self.categorical_count:
            encoder = self.encoder.named_transformers_["encoder"]
            for column, fact in zip(self.order, emitter(encoder, self.graph, "encoder").facts()):
                facts[column] = fact
        return facts


def _splits_on(nodes: np.ndarray, feature: int) -> np.ndarray:
    chosen: np.ndarray = (
        (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0) & (nodes["feature_idx"] == feature)
    )
    return chosen


def _set_splits(predictor: Any) -> dict[int, SetSplit]:
    """The splits on categories by node: members of a bit set of 256 go left."""
    import numpy as np

    nodes, found = predictor.nodes, {}
    for i in np.flatnonzero((nodes["is_categorical"] == 1) & (nodes["is_leaf"] == 0)):
        words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][i]]
        members = [bit for bit in range(256) if int(words[bit // 32]) >> (bit % 32) & 1]
        found[int(i)] = SetSplit(int(nodes["feature_idx"][i]), frozenset(members))
    return found


def _tree(nodes: np.ndarray, sets: dict[int, SetSplit], places: dict[SetSplit, int]) -> Tree:
    import numpy as np

    leaf = nodes["is_leaf"] == 1
    feature, threshold = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].copy()
    for i, split in sets.items():
        feature[i], threshold[i] = places[split], 0.5
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    right = np.where(leaf, -1, nodes["right"].astype(np.int64))
    return Tree(feature, threshold, left, right, nodes["missing_go_to_left"].astype(np.int64))


class HistGradientBoostingRegressor(HistGradientBoosting):
    def predict(self, X: Features) -> Value:
        raw = idioms.flat(self.graph, self.raw(X))
        link = link_name(self.estimator._loss)
        if link == "LogLink":
            return self.graph.op("Exp", raw)
        if link != "IdentityLink":
            raise self.refuse(f"the link {link} of loss {self.estimator.loss!r} is unknown")
        return raw


class HistGradientBoostingClassifier(HistGradientBoosting):
    def decision_function(self, X: Features) -> Value:
        raw = self.raw(X)
        return idioms.flat(self.graph, raw) if self.estimator.n_trees_per_iteration_ == 1 else raw

    def predict_proba(self, X: Features) -> Value:
        raw = self.raw(X)
        if self.estimator.n_trees_per_iteration_ > 1:
            return idioms.shares(self.graph, raw)
        if idioms.outermost(self.graph):
            return idioms.shares(self.graph, idioms.against_zero(self.graph, raw))
        return idioms.two_columns(self.graph, idioms.expit(self.graph, raw))

    def predict(self, X: Features) -> Value:
        graph, raw = self.graph, self.raw(X)
        scores = raw if self.estimator.n_trees_per_iteration_ > 1 else idioms.against_zero(graph, raw)
        return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, scores))


_NAME = "sklearn.ensemble.HistGradientBoosting"
EMITTERS = {
    f"{_NAME}Classifier": HistGradientBoostingClassifier,
    f"{_NAME}Regressor": HistGradientBoostingRegressor,
}
