"""Linear models: sklearn.linear_model, LinearSVC and LinearSVR.

Source: sklearn/linear_model/{_base,_logistic,_ridge,_stochastic_gradient,_ransac,_glm/glm}.py and
sklearn/svm/_classes.py (1.9).

- dtype: X stays float32 or float64, integers become float64 in ``X @ coef_.T``; the product has numpy's
  promotion of X and coef_. BLAS sums in an order of its own: results agree to a few ulp of the largest
  term, not to the bit. GLMs cast X to float64 or float32 first.
- regressors: ``X @ coef_.T + intercept_``, shape [N] for one target fitted as a vector. GLMs apply the
  inverse of their loss's link. RANSAC answers what its `estimator_` answers.
- decision: the same; one score for two classes (positive means ``classes_[1]``), one each otherwise.
- label: ``score > 0`` for two classes, else argmax of the scores with the first of equals. Never the
  argmax of probabilities: saturated ones are equal where the scores are not.
- probability, two classes: ``[1 - p, p]`` with p = expit(score), or (where no other step reads it) written
  as 1 / (1 + exp([s, -s])). More: softmax of the scores (LogisticRegression), or expit of each divided by
  their sum, uniform where all are 0 (SGD with log_loss, and liblinear before scikit-learn 1.8).
  modified_huber: (clip(score, -1, 1) + 1) / 2, normalised likewise.
- RidgeClassifier with several label columns: each score > 0.
- SGDOneClassSVM: ``X @ coef_.T - offset_``; +1 from 0 on, else -1.
- NaN and infinity are refused by the source (RANSAC leaves that to its estimator).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, floats, numeric
from converters.classical.emit import Emitter, emit, emitter
from converters.classical.facts import Feature, turning
from converters.classical.graph import Value
from converters.classical.releases import has_parameter

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph


def affine(graph: Graph, x: Value, coef: np.ndarray, intercept: Any) -> Value:
    """``x @ coef + intercept`` under numpy's promotion; one Gemm where both fit one."""
    import numpy as np

    coef = np.asarray(coef)
    dtype = str(np.result_type(np.dtype(x.dtype), coef.dtype))
    # Without an intercept it is Python's 0.0, which leaves float32 as it is.
    intercept = np.asarray(intercept, dtype=dtype if type(intercept) is float else None)
    if coef.ndim == 2 and intercept.dtype == np.dtype(dtype):
        return graph.op("Gemm", graph.cast(x, dtype), coef.astype(dtype), intercept)
    if coef.ndim == 1 and intercept.ndim == 0 and intercept.dtype == np.dtype(dtype):
        # A product with a vector takes ONNX Runtime ten times as long as one with a matrix of one column.
        column, one = coef.astype(dtype)[:, None], intercept.reshape(1)
        return idioms.flat(graph, graph.op("Gemm", graph.cast(x, dtype), column, one))
    return graph.add(graph.matmul(x, coef), intercept)


def dense(coef: Any) -> np.ndarray:
    """Coefficients as an array; ``sparsify()`` leaves a sparse matrix."""
    import numpy as np

    return np.asarray(coef.toarray() if hasattr(coef, "toarray") else coef)


def normalised(graph: Graph, p: Value, count: int) -> Value:
    """p [N, count] divided by its row sums, uniform where they are 0."""
    total = idioms.row_sum(graph, p)
    none = graph.equal(total, 0)
    return graph.div(graph.where(none, 1.0, p), graph.where(none, float(count), total))


class Linear(Emitter):
    """``X @ coef_.T + intercept_``."""

    def product(self, X: Features) -> Value:
        """Scores of shape [N] where coef_ is a vector, else [N, K]."""
        source, matrix = self.estimator, numeric(self.graph, X)
        return affine(self.graph, matrix.value, dense(source.coef_).T, source.intercept_)


class LinearRegressor(Linear):
    def predict(self, X: Features) -> Value:
        return self.product(X)


class GeneralisedLinear(Linear):
    """Poisson, gamma and Tweedie regression."""

    def predict(self, X: Features) -> Value:
        raw = self.product(floats(self.graph, X))
        link = type(self.estimator._base_loss.link).__name__
        if link == "IdentityLink":
            return raw
        if link == "LogLink":
            return self.graph.op("Exp", raw)
        raise self.refuse(f"the link {link} of its loss has no converter")


class LinearClassifier(Linear):
    """Labels and scores of LinearClassifierMixin."""

    @property
    def binary(self) -> bool:
        """Whether there is one score: for classes_[1] against classes_[0]."""
        coef = dense(self.estimator.coef_)
        return coef.ndim == 1 or coef.shape[0] == 1

    def facts(self) -> list[Feature]:
        return turning(dense(self.estimator.coef_).reshape(-1, self.width), self.estimator.intercept_)

    def decision_function(self, X: Features) -> Value:
        scores = self.product(X)
        return idioms.flat(self.graph, scores) if self.binary else scores

    def predict(self, X: Features) -> Value:
        scores = self.decision_function(X)
        if self.binary:
            index = self.graph.cast(self.graph.greater(scores, 0), "int64")
        else:
            index = idioms.argmax(self.graph, scores)
        return idioms.classes(self.graph, self.estimator.classes_, index)

    def logistic(self, X: Features) -> Value:
        """Probabilities of ``_predict_proba_lr``."""
        p = idioms.expit(self.graph, self.product(X))
        return idioms.two_columns(self.graph, p) if self.binary else self._shared(p)

    def _shared(self, p: Value) -> Value:
        return normalised(self.graph, p, len(self.estimator.classes_))


class LogisticRegression(LinearClassifier):
    def predict(self, X: Features) -> Value:
        if not (self.binary and idioms.outermost(self.graph)):
            return super().predict(X)
        return idioms.classes(self.graph, self.estimator.classes_, idioms.argmin(self.graph, self._both(X)))

    def predict_proba(self, X: Features) -> Value:
        if self.binary and idioms.outermost(self.graph):
            return self.graph.op("Reciprocal", self.graph.add(self.graph.op("Exp", self._both(X)), 1))
        if self.binary or self._one_versus_rest():
            return self.logistic(X)
        return idioms.shares(self.graph, self.product(X))

    def _both(self, X: Features) -> Value:
        """``[s, -s]`` from one product; the smaller is the label, the first of equals as s > 0 has it."""
        import numpy as np

        signs, matrix = np.array([1, -1]), numeric(self.graph, X)
        coef = dense(self.estimator.coef_).reshape(-1, 1)
        intercept = np.asarray(self.estimator.intercept_).reshape(-1)
        signs = signs.astype(coef.dtype)
        return affine(self.graph, matrix.value, coef * signs, intercept * signs.astype(intercept.dtype))

    def _one_versus_rest(self) -> bool:
        """Before scikit-learn 1.8 the parameter `multi_class` could ask for it; later it is ignored."""
        known = has_parameter(self.estimator, "multi_class")
        kind = getattr(self.estimator, "multi_class", "deprecated")
        old = kind in ("auto", "deprecated") and self.estimator.solver == "liblinear"
        return known and (kind == "ovr" or old)

    def predict_log_proba(self, X: Features) -> Value:
        return self.graph.op("Log", self.predict_proba(X))


class SGDClassifier(LinearClassifier):
    """SGD, Perceptron and passive-aggressive classifiers."""

    def predict_proba(self, X: Features) -> Value:
        loss = self.estimator.loss
        if loss == "log_loss":
            return self.logistic(X)
        if loss != "modified_huber":
            raise self.refuse(f"no probabilities with loss={loss!r}")
        clipped = idioms.clip(self.graph, self.product(X), -1.0, 1.0)
        p = self.graph.div(self.graph.add(clipped, 1.0), 2.0)
        if self.binary:
            return idioms.two_columns(self.graph, self.graph.cast(p, "float64"))
        return self._shared(p)

    def predict_log_proba(self, X: Features) -> Value:
        return self.graph.op("Log", self.predict_proba(X))


class RidgeClassifier(LinearClassifier):
    """Also several label columns at once."""

    def predict(self, X: Features) -> Value:
        if not self.estimator._label_binarizer.y_type_.startswith("multilabel"):
            return super().predict(X)
        return self.graph.cast(self.graph.greater(self.decision_function(X), 0), "int64")


class SGDOneClassSVM(Linear):
    def decision_function(self, X: Features) -> Value:
        import numpy as np

        matrix = numeric(self.graph, X)
        scores = self.graph.matmul(matrix.value, dense(self.estimator.coef_).reshape(-1))
        return self.graph.sub(scores, np.asarray(self.estimator.offset_))

    def predict(self, X: Features) -> Value:
        inlier = self.graph.greater_equal(self.decision_function(X), 0)
        return self.graph.where(inlier, 1, self.graph.constant(-1, "int64"))


class RANSAC(Emitter):
    def predict(self, X: Features) -> Any:
        return emit(self.graph, self.estimator.estimator_, "predict", numeric(self.graph, X), "estimator_")

    def facts(self) -> list[Feature]:
        return emitter(self.estimator.estimator_, self.graph, "estimator_").facts()


_REGRESSORS = (
    *("ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "LarsCV"),
    *("Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression"),
    *("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"),
    *("OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "PassiveAggressiveRegressor"),
    *("QuantileRegressor", "Ridge", "RidgeCV", "SGDRegressor", "TheilSenRegressor"),
)

EMITTERS: dict[str, type[Emitter]] = {
    **{f"sklearn.linear_model.{name}": LinearRegressor for name in _REGRESSORS},
    "sklearn.svm.LinearSVR": LinearRegressor,
    **{
        f"sklearn.linear_model.{name}Regressor": GeneralisedLinear for name in ("Poisson", "Gamma", "Tweedie")
    },
    "sklearn.linear_model.LogisticRegression": LogisticRegression,
    "sklearn.linear_model.LogisticRegressionCV": LogisticRegression,
    "sklearn.linear_model.SGDClassifier": SGDClassifier,
    "sklearn.linear_model.Perceptron": SGDClassifier,
    "sklearn.linear_model.PassiveAggressiveClassifier": SGDClassifier,
    "sklearn.linear_model.RidgeClassifier": RidgeClassifier,
    "sklearn.linear_model.RidgeClassifierCV": RidgeClassifier,
    "sklearn.linear_model.SGDOneClassSVM": SGDOneClassSVM,
    "sklearn.linear_model.RANSACRegressor": RANSAC,
    "sklearn.svm.LinearSVC": LinearClassifier,
}
