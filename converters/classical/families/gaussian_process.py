"""Gaussian processes and kernel ridge regression.

Source: sklearn/gaussian_process/{_gpr,_gpc}.py, sklearn/kernel_ridge.py (1.9).

- regressor: ``K alpha``, times the targets' deviation plus their mean; the standard deviation is not given.
- classifier, two classes: the second where the latent mean ``K (y - pi)`` is above 0. Probability: the mean
  of the logistic function over the latent normal, by five error functions; the variance is
  ``k(x, x) - |L⁻¹ (W K)|²`` (L is inverted once). More classes: one against the rest, or each pair.
- kernel ridge: ``K dual_coef``, in float32 where rows and fitted rows are; refused where the terms cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter, emit
from converters.classical.facts import FADING, Feature, around
from converters.classical.families import precision
from converters.classical.families.error_function import erf
from converters.classical.families.kernel_functions import between, diagonal, pairwise
from converters.classical.families.linear import dense
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph

MOST_LOST = 1e-10
"""Relative error by rounding from which on a sum of kernels depends on the order of adding visibly."""

UNDECIDED = 1e-13
"""Share of the sum's terms below which its sign is that of its rounding."""


def _rows(graph: Graph, X: Features) -> Value:
    return graph.cast(numeric(graph, X).value, "float64")


class Regressor(Emitter):
    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        if not hasattr(source, "X_train_"):
            raise self.refuse("it was not fitted")
        points = np.asarray(source.X_train_, dtype=np.float64)
        share = precision.lost(source.kernel_(precision.some(points), points), source.alpha_, "float64")
        precision.demand(self, share, precision.MOST_LOST["float64"], "Use a larger alpha, or a WhiteKernel.")
        cross = between(graph, source.kernel_, _rows(graph, X), points)
        mean = graph.matmul(cross, np.asarray(source.alpha_, dtype=np.float64))
        mean = graph.add(graph.mul(mean, np.asarray(source._y_train_std)), np.asarray(source._y_train_mean))
        flat = source.alpha_.ndim > 1 and source.alpha_.shape[1] == 1
        return idioms.flat(graph, mean) if flat else mean

    def facts(self) -> list[Feature]:
        import numpy as np

        rows = getattr(self.estimator, "X_train_", None)
        return super().facts() if rows is None else around(np.asarray(rows))


class BinaryLaplace(Emitter):
    """_BinaryGaussianProcessClassifierLaplace, the part that GaussianProcessClassifier is made of."""

    def _latent(self, X: Features) -> tuple[Value, Value]:
        """Kernel [N, S] and latent mean [N]."""
        import numpy as np

        source = self.estimator
        points = np.asarray(source.X_train_, dtype=np.float64)
        residuals = np.asarray(source.y_train_ - source.pi_, dtype=np.float64)
        self._demand_sides(source.kernel_(points), residuals)
        cross = between(self.graph, source.kernel_, _rows(self.graph, X), points)
        return cross, self.graph.matmul(cross, residuals)

    def _demand_sides(self, kernel: np.ndarray, residuals: np.ndarray) -> None:
        """Refuse where the classes of a fitted row, or of one as near to all, cancel: rounding decides."""
        import numpy as np

        rows = np.vstack([np.ones(len(residuals)), kernel])
        undecided = np.abs(rows @ residuals) <= UNDECIDED * (np.abs(rows) @ np.abs(residuals))
        if undecided.any():
            at = int(np.flatnonzero(undecided)[0])
            who = f"fitted row {at - 1}" if at else "a row equally near to all fitted ones"
            raise self.refuse(
                f"{who} is as much of one class as of the other, and rounding decides",
                "Leave out equal rows of different labels, or add a feature.",
            )

    def predict(self, X: Features) -> Value:
        second = self.graph.cast(self.graph.greater(self._latent(X)[1], 0), "int64")
        return idioms.classes(self.graph, self.estimator.classes_, second)

    def predict_proba(self, X: Features) -> Value:
        import numpy as np
        from sklearn.gaussian_process._gpc import COEFS, LAMBDAS

        graph, source = self.graph, self.estimator
        cross, mean = self._latent(X)
        solved = np.linalg.inv(source.L_) * source.W_sr_
        v = graph.matmul(cross, solved.T)
        reduced = idioms.row_sum(graph, graph.mul(v, v), keepdims=False)
        variance = idioms.upright(graph, graph.sub(diagonal(graph, source.kernel_, _rows(graph, X)), reduced))
        alpha, lambdas, coefs = (
            graph.div(1.0, graph.mul(2.0, variance)),
            LAMBDAS.reshape(1, -1),
            COEFS.ravel(),
        )
        width = graph.op("Sqrt", graph.div(alpha, graph.add(alpha, lambdas**2)))
        errors = erf(graph, graph.mul(graph.mul(lambdas, idioms.upright(graph, mean)), width))
        heights = graph.op("Sqrt", graph.div(np.pi, alpha))
        areas = graph.mul(2.0, graph.op("Sqrt", graph.mul(graph.mul(variance, 2.0), np.pi)))
        integrals = graph.div(graph.mul(heights, errors), areas)
        share = graph.add(graph.matmul(integrals, coefs.reshape(-1, 1)), 0.5 * float(coefs.sum()))
        return idioms.two_columns(graph, share)


class Classifier(Emitter):
    def predict(self, X: Features) -> Any:
        return emit(self.graph, self.estimator.base_estimator_, "predict", X, "base_estimator_")

    def predict_proba(self, X: Features) -> Any:
        if self.estimator.n_classes_ > 2 and self.estimator.multi_class == "one_vs_one":
            raise self.refuse("one_vs_one gives no probabilities, in scikit-learn neither")
        return emit(self.graph, self.estimator.base_estimator_, "predict_proba", X, "base_estimator_")

    def facts(self) -> list[Feature]:
        import numpy as np

        base = self.estimator.base_estimator_
        parts = getattr(base, "estimators_", [base])
        rows = [np.asarray(part.X_train_) for part in parts if hasattr(part, "X_train_")]
        return around(np.concatenate(rows))


class KernelRidge(Emitter):
    def facts(self) -> list[Feature]:
        return around(self.estimator.X_fit_) if self.estimator.kernel in FADING else super().facts()

    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, source, x = self.graph, self.estimator, numeric(self.graph, X).value
        dual = np.asarray(source.dual_coef_)
        if source.kernel == "precomputed":
            return graph.matmul(x, dual)
        points = dense(source.X_fit_)
        if x.dtype != "float32" or points.dtype.name != "float32":
            points = points.astype(np.float64)
        self._demand_meaning(points, dual)
        parameters = {"gamma": source.gamma, "degree": source.degree, "coef0": source.coef0}
        return graph.matmul(pairwise(graph, x, points, source.kernel, parameters), dual)

    def _demand_meaning(self, points: np.ndarray, dual: np.ndarray) -> None:
        """Refuse where terms cancel so far that the order of adding decides the digits that are left."""
        import numpy as np

        if callable(self.estimator.kernel):
            raise self.refuse("its kernel is Python code")
        kernel = np.asarray(self.estimator._get_kernel(precision.some(points), points))
        share = precision.lost(kernel, dual, str(kernel.dtype))
        way_out = "Scale the features before it (StandardScaler), use a larger alpha, or fit in float64."
        precision.demand(self, share, MOST_LOST, way_out)


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.gaussian_process.GaussianProcessRegressor": Regressor,
    "sklearn.gaussian_process.GaussianProcessClassifier": Classifier,
    "sklearn.gaussian_process._BinaryGaussianProcessClassifierLaplace": BinaryLaplace,
    "sklearn.kernel_ridge.KernelRidge": KernelRidge,
}
