"""Linear models: LinearRegression, Ridge, Lasso, ElasticNet and LogisticRegression.

Source: sklearn/linear_model/_base.py and _logistic.py (1.9).

- dtype: X stays float32 or float64, integers become float64 in ``X @ coef_.T``; the product has
  numpy's promotion of X and coef_. BLAS sums in an order of its own: results agree to a few ulp of
  the largest term, not to the bit.
- regressors: ``X @ coef_.T + intercept_``, shape [N] for one target fitted as a vector.
- decision: the same; one score for two classes (positive means ``classes_[1]``), one each otherwise.
- label: ``score > 0`` for two classes, else argmax of the scores with the first of equals. Never
  the argmax of probabilities: saturated ones are equal where the scores are not.
- probability: two classes ``[1 - p, p]`` with p = expit(score); more: softmax of the scores
  (multinomial), or for liblinear's one-versus-rest expit, divided by their sum, uniform where all are 0.
- NaN and infinity are refused by the source.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.graph import Value


class Linear(Emitter):
    """``X @ coef_.T + intercept_``."""

    def product(self, X: Features) -> Value:
        """Scores of shape [N] where coef_ is a vector, else [N, K]."""
        import numpy as np

        source, matrix = self.estimator, numeric(self.graph, X)
        coef = np.asarray(source.coef_)
        scores = self.graph.matmul(matrix.value, coef.T)
        return self.graph.add(scores, np.asarray(source.intercept_))


class LinearRegressor(Linear):
    def predict(self, X: Features) -> Value:
        return self.product(X)


class LinearClassifier(Linear):
    """Labels and scores of LinearClassifierMixin."""

    def decision_function(self, X: Features) -> Value:
        import numpy as np

        scores = self.product(X)
        one = np.atleast_2d(self.estimator.coef_).shape[0] == 1
        return idioms.flat(self.graph, scores) if one and self.estimator.coef_.ndim == 2 else scores

    def predict(self, X: Features) -> Value:
        import numpy as np

        scores = self.decision_function(X)
        if np.atleast_2d(self.estimator.coef_).shape[0] == 1:
            index = self.graph.cast(self.graph.greater(scores, 0), "int64")
        else:
            index = idioms.argmax(self.graph, scores)
        return idioms.classes(self.graph, self.estimator.classes_, index)


class LogisticRegression(LinearClassifier):
    def predict_proba(self, X: Features) -> Value:
        scores = self.decision_function(X)
        if len(self.estimator.classes_) > 2:
            if (
                getattr(self.estimator, "multi_class", "deprecated") == "ovr"
                or self.estimator.solver == "liblinear"
            ):
                return self._one_versus_rest(scores)
            return idioms.softmax(self.graph, scores)
        p = idioms.expit(self.graph, scores)
        return idioms.stack(self.graph, [self.graph.sub(1, p), p])

    def _one_versus_rest(self, scores: Value) -> Value:
        p = idioms.expit(self.graph, scores)
        total = idioms.row_sum(self.graph, p)
        none = self.graph.equal(total, 0)
        even = self.graph.where(none, 1.0 / len(self.estimator.classes_), p)
        return self.graph.div(even, self.graph.where(none, 1.0, total))


EMITTERS = {
    "sklearn.linear_model.LinearRegression": LinearRegressor,
    "sklearn.linear_model.Ridge": LinearRegressor,
    "sklearn.linear_model.RidgeCV": LinearRegressor,
    "sklearn.linear_model.Lasso": LinearRegressor,
    "sklearn.linear_model.ElasticNet": LinearRegressor,
    "sklearn.linear_model.LogisticRegression": LogisticRegression,
    "sklearn.linear_model.LogisticRegressionCV": LogisticRegression,
}
