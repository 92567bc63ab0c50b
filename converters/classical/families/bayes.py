"""Naive Bayes: Gaussian, multinomial, complement, Bernoulli, categorical.

Source: sklearn/naive_bayes.py (1.9).

- joint log-likelihoods by class, in numpy's promotion of X and the fitted float64 tables:
  Gaussian ``log prior - Σ log(2π var)/2 - Σ (x - theta)² / var / 2``; multinomial and complement
  ``X @ log probabilities`` (the prior is left out of complement, but for a single class); Bernoulli
  on ``X > binarize``; categorical looks up the fitted table, X truncated to int64.
- sums of huge counts: rows whose classes are near are refused where rounding moves their probabilities.
- label: argmax of the joint, the first of equals; probability: exp(joint - logsumexp).
- categories beyond the fitted ones are an error in the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, around, categories, jumps, unknown
from converters.classical.families import precision
from converters.classical.graph import Value
from converters.classical.releases import variances

if TYPE_CHECKING:
    import numpy as np


class NaiveBayes(Emitter):
    def joint(self, X: Features) -> Value:
        """[N, classes]."""
        raise NotImplementedError

    def predict(self, X: Features) -> Value:
        return idioms.classes(self.graph, self.estimator.classes_, idioms.argmax(self.graph, self.joint(X)))

    def predict_log_proba(self, X: Features) -> Value:
        joint = self.joint(X)
        return self.graph.sub(joint, idioms.logsumexp(self.graph, joint))

    def predict_proba(self, X: Features) -> Value:
        return self.graph.op("Exp", self.predict_log_proba(X))


class GaussianNB(NaiveBayes):
    def facts(self) -> list[Feature]:
        import numpy as np

        return around(self.estimator.theta_, SPREAD * np.sqrt(variances(self.estimator).max(axis=0)))

    def joint(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        x = idioms.upright(graph, numeric(graph, X).value)
        apart, var = graph.sub(x, np.asarray(source.theta_)[None]), variances(source)
        parts = graph.div(graph.mul(apart, apart), var[None])
        sums = idioms.numpy_sum(graph, parts, self.width)
        fixed = -0.5 * np.log(2.0 * np.pi * var).sum(axis=1)
        likely = graph.sub(fixed, graph.mul(sums, 0.5))
        return graph.add(np.log(source.class_prior_), likely)


class Counted(NaiveBayes):
    """Multinomial and complement."""

    def joint(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        self._demand_meaning()
        joint = graph.matmul(numeric(graph, X).value, np.asarray(source.feature_log_prob_).T)
        prior = type(source).__name__ == "MultinomialNB" or len(source.classes_) == 1
        return graph.add(joint, np.asarray(source.class_log_prior_)) if prior else joint

    def _demand_meaning(self) -> None:
        """Refuse where rounding moves the probabilities of the mean row of a class."""
        import numpy as np

        source = self.estimator
        table = np.asarray(source.feature_log_prob_, dtype=np.float64)
        means = (
            np.asarray(source.feature_count_) / np.maximum(np.asarray(source.class_count_), 1e-300)[:, None]
        )
        share = float((np.abs(means) @ np.abs(table).T).max() * np.finfo(np.float64).eps)
        joint = means @ table.T
        others = np.exp(joint - joint.max(axis=1, keepdims=True)).sum(axis=1) - 1
        if (others > precision.MOST_LOST["float64"]).any():
            way_out = "Divide the counts by a constant before it, so that rows sum to less than about 1e7."
            precision.demand(self, share, precision.MOST_LOST["float64"], way_out)


class BernoulliNB(NaiveBayes):
    def joint(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        x = numeric(graph, X).value
        if source.binarize is not None:
            x = graph.cast(graph.greater(x, float(source.binarize)), "float64")
        yes = np.asarray(source.feature_log_prob_)
        no = np.log(1 - np.exp(yes))
        return graph.add(graph.matmul(x, (yes - no).T), source.class_log_prior_ + no.sum(axis=1))

    def facts(self) -> list[Feature]:
        if self.estimator.binarize is None:
            return unknown(self.width)
        return [jumps([self.estimator.binarize]) for _ in range(self.width)]


class CategoricalNB(NaiveBayes):
    def joint(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        codes = graph.cast(numeric(graph, X).value, "int64")
        total: Value | None = None
        for i, table in enumerate(source.feature_log_prob_):
            found = idioms.take(graph, np.ascontiguousarray(table.T), idioms.column(graph, codes, i))
            total = found if total is None else graph.add(total, found)
        assert total is not None
        return graph.add(total, np.asarray(source.class_log_prior_))

    def facts(self) -> list[Feature]:
        return [categories(known(table)) for table in self.estimator.feature_log_prob_]


def known(table: np.ndarray) -> np.ndarray:
    """The category numbers of a fitted table [classes, categories]."""
    import numpy as np

    return np.arange(table.shape[1])


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.naive_bayes.GaussianNB": GaussianNB,
    "sklearn.naive_bayes.MultinomialNB": Counted,
    "sklearn.naive_bayes.ComplementNB": Counted,
    "sklearn.naive_bayes.BernoulliNB": BernoulliNB,
    "sklearn.naive_bayes.CategoricalNB": CategoricalNB,
}
