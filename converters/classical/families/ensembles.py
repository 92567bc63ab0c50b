"""Ensembles of scikit-learn's trees: gradient boosting, isolation forests, tree embeddings.

Source: sklearn/ensemble/{_gb.py,_gradient_boosting.pyx,_iforest.py,_forest.py} (1.9).

- dtype: X is rounded to float32, thresholds are float64, sums are float64; NaN by missing_go_to_left.
- gradient boosting: the init estimator's answer through the inverse link, clipped to
  [eps, 1 - eps] (before 1.4 at float32's eps, and the mean of logs is left in), then learning rate
  times leaf, tree after tree. Two classes: the second where the sum is 0 or more. exponential loss: the
  logistic function of twice the sum.
- isolation forest: the path length of each tree's leaf, added in order; score -2 ** (-depth / mean
  depth). A training row may lie exactly at offset_ (contamination): sums keep their order.
- embedding: the leaf of each tree, one-hot over the leaves that fit saw.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter, emit
from converters.classical.facts import Feature, jumps
from converters.classical.families.boosted import Boosted, sums
from converters.classical.families.trees import (
    double,
    ensemble,
    leaf_rows,
    rounded_down,
    single,
    summed_in_order,
    threshold_facts,
    tree_of,
    widened,
)
from converters.classical.releases import path_lengths, release

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.families.trees import Tree
    from converters.classical.graph import Value


class GradientBoosting(Emitter):
    """The sums before the link."""

    def facts(self) -> list[Feature]:
        return threshold_facts(self.estimator.estimators_.ravel(), self.width)

    def raw(self, X: Features) -> Value:
        """[N, trees per iteration] float64."""
        import numpy as np

        estimator, graph = self.estimator, self.graph
        outputs = estimator.estimators_.shape[1]
        members = list(estimator.estimators_.ravel())
        trees = tuple(widened(tree_of(member)) for member in members)
        values = tuple(
            member.tree_.value[tree.leaves, 0, 0] * estimator.learning_rate
            for member, tree in zip(members, trees)
        )
        groups = tuple(i % outputs for i in range(len(trees)))
        constant = self._constant_start(outputs)
        start = np.zeros(outputs) if constant is None else constant
        total = sums(graph, double(graph, X), Boosted(trees, values, groups), start, exact=outputs > 1)
        return total if constant is not None else graph.add(self._start(X), total)

    def _constant_start(self, outputs: int) -> np.ndarray | None:
        """What the init estimator says of every row; None where it depends on the row."""
        import numpy as np

        init = self.estimator.init_
        if isinstance(init, str):
            return np.zeros(outputs)
        if type(init).__name__ not in ("DummyClassifier", "DummyRegressor"):
            return None
        row = self.estimator._raw_predict_init(np.zeros((1, self.width), dtype=np.float32))
        return np.asarray(row[0], dtype=np.float64)

    def _start(self, X: Features) -> Value:
        """The init estimator's answer through the loss's inverse link, [N, outputs]."""
        import numpy as np

        graph, estimator = self.graph, self.estimator
        X = Matrix(graph.cast(numeric(graph, X).value, "float32"), self.width)
        if not hasattr(estimator, "classes_"):
            found = emit(graph, estimator.init_, "predict", X, "init")
            return idioms.upright(graph, graph.cast(found, "float64"))
        old = release() < (1, 4)
        eps = float(np.finfo(np.float32 if old else np.float64).eps)
        p = graph.cast(emit(graph, estimator.init_, "predict_proba", X, "init"), "float64")
        p = idioms.clip(graph, p, eps, 1 - eps)
        if estimator.estimators_.shape[1] > 1:
            logs = graph.op("Log", p)
            if old:
                return logs
            mean = graph.div(idioms.row_sum(graph, logs), float(len(estimator.classes_)))
            return graph.sub(logs, mean)
        p = idioms.take_columns(graph, p, [1])
        logit = graph.op("Log", graph.div(p, graph.sub(1.0, p)))
        return graph.mul(logit, 0.5) if estimator.loss == "exponential" else logit


class GradientBoostingRegressor(GradientBoosting):
    def predict(self, X: Features) -> Value:
        return idioms.flat(self.graph, self.raw(X))


class GradientBoostingClassifier(GradientBoosting):
    def decision_function(self, X: Features) -> Value:
        raw = self.raw(X)
        return raw if self.estimator.estimators_.shape[1] > 1 else idioms.flat(self.graph, raw)

    def predict_proba(self, X: Features) -> Value:
        graph, raw = self.graph, self.raw(X)
        if self.estimator.estimators_.shape[1] > 1:
            return idioms.shares(graph, raw)
        if idioms.outermost(graph):
            return idioms.shares(graph, idioms.against_zero(graph, raw, self._factor))
        return idioms.two_columns(
            graph, idioms.expit(graph, raw if self._factor == 1 else graph.mul(raw, self._factor))
        )

    @property
    def _factor(self) -> float:
        return 2.0 if self.estimator.loss == "exponential" else 1.0

    def predict(self, X: Features) -> Value:
        graph, raw = self.graph, self.raw(X)
        if self.estimator.estimators_.shape[1] > 1:
            return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, raw))
        both = idioms.against_zero(graph, raw, self._factor)
        return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, both, last=True))


class IsolationForest(Emitter):
    """Scores of an isolation forest; lower is more abnormal."""

    def _trees(self) -> list[Tree]:
        pairs = zip(self.estimator.estimators_, self.estimator.estimators_features_)
        return [rounded_down(tree_of(member, features)) for member, features in pairs]

    def facts(self) -> list[Feature]:
        import numpy as np

        trees = self._trees()
        feature = np.concatenate([tree.feature[tree.left >= 0] for tree in trees])
        threshold = np.concatenate([tree.threshold[tree.left >= 0] for tree in trees])
        return [jumps(threshold[feature == i]) for i in range(self.width)]

    def _lengths(self) -> list[np.ndarray]:
        """Path length of each leaf: its depth and the mean depth of what fit left in it."""
        estimator, lengths = self.estimator, []
        for i, member in enumerate(estimator.estimators_):
            leaves = tree_of(member).leaves
            lengths.append(path_lengths(estimator, i)[leaves] - 1.0)
        return lengths

    def score_samples(self, X: Features) -> Value:
        import numpy as np
        from sklearn.ensemble._iforest import _average_path_length

        graph, estimator = self.graph, self.estimator
        lengths = np.concatenate(self._lengths()).reshape(-1, 1)
        trees = self._trees()
        if numeric(graph, X).sparse:  # there the source only compares: NaN is not <= anything
            trees = [dataclasses.replace(tree, nan_left=None) for tree in trees]
        total = summed_in_order(graph, leaf_rows(graph, single(graph, X), trees), lengths, len(trees))
        samples = getattr(estimator, "_max_samples", estimator.max_samples_)
        mean = float(_average_path_length([samples])[0]) * len(trees)
        if mean == 0:
            return idioms.flat(graph, graph.add(graph.mul(total, 0.0), -0.5))
        exponent = graph.op("Neg", graph.div(idioms.flat(graph, total), mean))
        return graph.op("Neg", graph.pow(graph.constant(2.0), exponent))

    def decision_function(self, X: Features) -> Value:
        return self.graph.sub(self.score_samples(X), float(self.estimator.offset_))

    def predict(self, X: Features) -> Value:
        graph = self.graph
        outlier = graph.less(self.decision_function(X), 0.0)
        return graph.where(outlier, graph.constant(-1), graph.constant(1))


class RandomTreesEmbedding(Emitter):
    """One column for each leaf of each tree."""

    def facts(self) -> list[Feature]:
        return threshold_facts(self.estimator.estimators_, self.width)

    def facts_before(self, after: Any) -> list[Feature]:
        return self.facts()

    def transform(self, X: Features) -> Matrix:
        import numpy as np

        graph, encoder = self.graph, self.estimator.one_hot_encoder_
        trees = [tree_of(member) for member in self.estimator.estimators_]
        columns = np.concatenate([tree.leaves for tree in trees])
        if not all(np.array_equal(known, tree.leaves) for known, tree in zip(encoder.categories_, trees)):
            raise self.refuse("some leaves were empty when it was fitted")
        down = [rounded_down(tree) for tree in trees]
        found = ensemble(graph, single(graph, X), down, np.ones(len(columns)), np.arange(len(columns)))
        return Matrix(graph.cast(found, "float64"), len(columns), bool(self.estimator.sparse_output))


EMITTERS = {
    "sklearn.ensemble.GradientBoostingClassifier": GradientBoostingClassifier,
    "sklearn.ensemble.GradientBoostingRegressor": GradientBoostingRegressor,
    "sklearn.ensemble.IsolationForest": IsolationForest,
    "sklearn.ensemble.RandomTreesEmbedding": RandomTreesEmbedding,
}
