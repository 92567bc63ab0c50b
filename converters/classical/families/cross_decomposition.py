"""Partial least squares and canonical correlation.

Source: sklearn/cross_decomposition/_pls.py (1.9). X is float64 or float32 and stays so when the fitted
mean is subtracted (and, to transform, the fitted deviation divides) in place. predict: ``(X - mean) @
coef_.T + intercept_``, [N] for one target fitted as a vector; transform: ``@ x_rotations_``. PLSSVD: in
float64, ``@ x_weights_``.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, around
from converters.classical.families.linear import dense
from converters.classical.graph import Value


class Centred(Emitter):
    """What is subtracted, and how far the fitted rows were from it."""

    def facts(self) -> list[Feature]:
        return around(dense(self.estimator._x_mean)[None], SPREAD * dense(self.estimator._x_std))


class PartialLeastSquares(Centred):
    def predict(self, X: Features) -> Value:
        graph, source = self.graph, self.estimator
        matrix = floats(graph, X)
        centred = graph.cast(graph.sub(matrix.value, dense(source._x_mean)), matrix.dtype)
        result = graph.add(graph.matmul(centred, dense(source.coef_).T), dense(source.intercept_))
        return idioms.flat(graph, result) if source._predict_1d else result

    def transform(self, X: Features) -> Matrix:
        graph, source = self.graph, self.estimator
        matrix = floats(graph, X)
        value = graph.cast(graph.sub(matrix.value, dense(source._x_mean)), matrix.dtype)
        value = graph.cast(graph.div(value, dense(source._x_std)), matrix.dtype)
        rotations = dense(source.x_rotations_)
        return Matrix(graph.matmul(value, rotations), rotations.shape[1])


class PLSSVD(Centred):
    def transform(self, X: Features) -> Matrix:
        graph, source = self.graph, self.estimator
        x = graph.cast(numeric(graph, X).value, "float64")
        scaled = graph.div(graph.sub(x, dense(source._x_mean)), dense(source._x_std))
        weights = dense(source.x_weights_)
        return Matrix(graph.matmul(scaled, weights), weights.shape[1])


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.cross_decomposition.PLSRegression": PartialLeastSquares,
    "sklearn.cross_decomposition.PLSCanonical": PartialLeastSquares,
    "sklearn.cross_decomposition.CCA": PartialLeastSquares,
    "sklearn.cross_decomposition.PLSSVD": PLSSVD,
}
