"""QuantileTransformer.

Source: sklearn/preprocessing/_data.py (1.9), numpy's compiled interp.

- half the sum of interp(x) in the rising quantiles and of -interp(-x) in the falling ones, in float64: the
  middle of equal quantiles.
- interp: the last knot not above x; exactly fp at a knot; beyond the ends the end's value.
- ends, uniform: x equal to the first or last quantile is 0 or 1 (0 wins); normal: x - 1e-7 below the first,
  or x + 1e-7 above the last quantile, in the dtype of X.
- normal: scipy's ndtri, clipped to its values at 1e-7 - eps and beside 1.
- dtype: columns are rounded to the dtype of X before ndtri and after. NaN passes through. A sparse matrix
  keeps its zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns, floats
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.families import special

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

THRESHOLD = 1e-7


class QuantileTransformer(Emitter):
    def transform(self, X: Features) -> Matrix:
        X = floats(self.graph, X)
        parts = [
            self._column(column.value, self.estimator.quantiles_[:, index])
            for index, column in enumerate(columns(self.graph, X))
        ]
        value = self.graph.cast(idioms.concat(self.graph, parts), X.dtype)
        if X.sparse:
            value = self.graph.where(self.graph.equal(X.value, 0), X.value, value)
        return Matrix(value, X.width, X.sparse)

    def _column(self, x: Value, quantiles: np.ndarray) -> Value:
        graph, known = self.graph, self.estimator.references_
        wide = graph.cast(x, "float64")
        rising = interpolated(graph, wide, quantiles, known)
        falling = interpolated(graph, graph.op("Neg", wide), -quantiles[::-1], -known[::-1])
        shares = graph.mul(0.5, graph.sub(rising, falling))
        shares = graph.where(self._above(x, quantiles[-1]), 1.0, shares)
        shares = graph.where(self._below(x, quantiles[0]), 0.0, shares)
        shares = graph.where(idioms.is_nan(graph, x), wide, shares)
        return shares if self.estimator.output_distribution == "uniform" else self._normal(shares, x.dtype)

    def _above(self, x: Value, last: np.floating) -> Value:
        import numpy as np

        if self.estimator.output_distribution == "uniform":
            return self.graph.equal(x, np.float64(last).reshape(1))
        return self.graph.greater(self.graph.add(x, THRESHOLD), np.float64(last).reshape(1))

    def _below(self, x: Value, first: np.floating) -> Value:
        import numpy as np

        if self.estimator.output_distribution == "uniform":
            return self.graph.equal(x, np.float64(first).reshape(1))
        return self.graph.less(self.graph.sub(x, THRESHOLD), np.float64(first).reshape(1))

    def _normal(self, shares: Value, dtype: str) -> Value:
        from scipy import stats

        rounded = self.graph.cast(self.graph.cast(shares, dtype), "float64")
        values = special.ndtri(self.graph, rounded)
        beside = THRESHOLD - EPS
        low, high = float(stats.norm.ppf(beside)), float(stats.norm.ppf(1 - beside))
        return idioms.clip(self.graph, values, low, high)

    def facts(self) -> list[Feature]:
        return [jumps(column) for column in self.estimator.quantiles_.T]


EPS = 2.220446049250313e-16
"""numpy.spacing(1)."""


def interpolated(graph: Graph, x: Value, knots: np.ndarray, values: np.ndarray) -> Value:
    """numpy.interp of float64 x [N, 1] in ascending knots."""
    import numpy as np

    knots, values = np.asarray(knots, dtype=np.float64), np.asarray(values, dtype=np.float64)
    last = len(knots) - 1
    with np.errstate(all="ignore"):
        slopes = np.append(np.diff(values) / np.diff(knots), 0.0)
    slopes[~np.isfinite(slopes)] = 0.0
    reached = graph.cast(graph.greater_equal(x, knots.reshape(1, -1)), "int64")
    place = graph.maximum(graph.sub(idioms.row_sum(graph, reached), 1), 0)
    start, height = idioms.take(graph, knots, place), idioms.take(graph, values, place)
    between = graph.add(graph.mul(idioms.take(graph, slopes, place), graph.sub(x, start)), height)
    at_knot = graph.op("Or", graph.equal(x, start), graph.equal(place, last))
    result = graph.where(at_knot, height, between)
    return graph.where(graph.less(x, float(knots[0])), float(values[0]), result)


EMITTERS = {"sklearn.preprocessing.QuantileTransformer": QuantileTransformer}
