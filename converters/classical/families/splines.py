"""SplineTransformer.

Source: sklearn/preprocessing/_polynomial.py (1.9), scipy's compiled __fitpack (de Boor's recursion).

- the values of the degree + 1 splines that are not 0 at x, by de Boor's recursion in float64 over the knots
  around x; interval: the last knot not above x, within the inner ones.
- extrapolation: ``continue`` and ``error`` use the first or last interval; ``constant`` the splines at the
  ends; ``linear`` their tangents there; ``periodic`` wraps x by numpy's ``%``. ``error`` makes the source
  raise.
- ``linear`` with degree 0 or 1 reads its bounds one knot further in for every feature but the first (the
  source raises its own `degree` on the way), and so does the graph.
- dtype: rounded to float32 where X is float32, unless sparse_output. ``handle_missing="zeros"`` gives zeros
  for NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns, floats
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.families import special

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value


class SplineTransformer(Emitter):
    def transform(self, X: Features) -> Matrix:
        X, graph = floats(self.graph, X), self.graph
        parts = []
        for index, column in enumerate(columns(graph, X)):
            value = self._feature(index, graph.cast(column.value, "float64"))
            if not self.estimator.include_bias:
                value = idioms.take_columns(graph, value, range(self._count - 1))
            parts.append(value if self.estimator.sparse_output else graph.cast(value, X.dtype))
        width = self.width * (self._count - (0 if self.estimator.include_bias else 1))
        return Matrix(idioms.concat(graph, parts), width, bool(self.estimator.sparse_output))

    @property
    def _count(self) -> int:
        return int(self.estimator.bsplines_[0].c.shape[1])

    def _feature(self, index: int, x: Value) -> Value:
        spline, graph = self.estimator.bsplines_[index], self.graph
        inner = spline.t[spline.k : len(spline.t) - spline.k]
        missing = idioms.is_nan(graph, x)
        known = graph.where(missing, float(inner[0]), x)
        kind = self.estimator.extrapolation
        if kind == "periodic":
            value = self._basis(spline, self._wrapped(known, float(inner[0]), float(inner[-1])))
        elif kind in ("continue", "error"):
            value = self._basis(spline, known)
        else:
            value = self._beyond(index, spline, known)
        return graph.where(missing, 0.0, value)

    def _wrapped(self, x: Value, low: float, high: float) -> Value:
        if not high - low > 0:
            return self.graph.mul(x, 0.0)
        rest = special.remainder(self.graph, self.graph.sub(x, low), high - low)
        return self.graph.add(low, rest)

    def _basis(self, spline: Any, x: Value) -> Value:
        """Every spline at x [N, 1]: [N, splines]."""
        import numpy as np

        graph, knots, degree = self.graph, np.asarray(spline.t, dtype=np.float64), int(spline.k)
        last = len(knots) - degree - 1
        passed = graph.greater_equal(x, knots[degree + 1 : last].reshape(1, -1))
        interval = graph.add(idioms.row_sum(graph, graph.cast(passed, "int64")), degree)
        total = None
        for place, value in enumerate(self._around(knots, degree, interval, x)):
            column = graph.add(interval, place - degree)
            if len(spline.c) > self._count:
                column = graph.op("Mod", column, np.array(self._count))
            here = graph.op("Equal", column, np.arange(self._count).reshape(1, -1))
            part = graph.where(here, value, 0.0)
            total = part if total is None else graph.add(total, part)
        return total  # type: ignore[return-value]

    def _around(self, knots: np.ndarray, degree: int, interval: Value, x: Value) -> list[Value]:
        """The degree + 1 splines of the interval that x lies in, by de Boor's recursion."""
        graph = self.graph
        h = [graph.add(graph.mul(x, 0.0), 1.0)]
        for j in range(1, degree + 1):
            before, h = h, [graph.mul(x, 0.0)]
            for n in range(1, j + 1):
                right = idioms.take(graph, knots, graph.add(interval, n))
                left = idioms.take(graph, knots, graph.add(interval, n - j))
                span = graph.sub(right, left)
                none = graph.equal(span, 0)
                w = graph.div(before[n - 1], graph.where(none, 1.0, span))
                w = graph.where(none, 0.0, w)
                h[n - 1] = graph.add(h[n - 1], graph.mul(w, graph.sub(right, x)))
                h.append(graph.mul(w, graph.sub(x, left)))
        return h

    def _beyond(self, index: int, spline: Any, x: Value) -> Value:
        """``constant`` or ``linear`` below and above the bounds."""
        graph, degree = self.graph, self._degree_at(index)
        low, high = float(spline.t[degree]), float(spline.t[-degree - 1])
        inside = self._basis(spline, idioms.clip(graph, x, low, high))
        if self.estimator.extrapolation == "linear":
            degree = degree + 1 if degree <= 1 else degree
        below = self._line(spline, x, low, range(degree))
        above = self._line(spline, x, high, range(self._count - degree, self._count))
        value = graph.where(graph.less(x, low), below, inside)
        return graph.where(graph.greater(x, high), above, value)

    def _degree_at(self, index: int) -> int:
        degree = int(self.estimator.degree)
        if self.estimator.extrapolation == "linear":
            for _ in range(index):
                degree = degree + 1 if degree <= 1 else degree
        return degree

    def _line(self, spline: Any, x: Value, bound: float, reached: range) -> Value:
        """The splines at a bound, with their slopes for ``linear``; those out of reach are 0."""
        import numpy as np

        mask = np.isin(np.arange(self._count), np.array(list(reached)))
        height = np.where(mask, spline(bound), 0.0).reshape(1, -1)
        if self.estimator.extrapolation == "constant":
            return self.graph.add(self.graph.mul(x, 0.0), height)
        slope = np.where(mask, spline(bound, nu=1), 0.0).reshape(1, -1)
        return self.graph.add(height, self.graph.mul(self.graph.sub(x, bound), slope))

    def facts(self) -> list[Feature]:
        return [jumps(spline.t[spline.k : len(spline.t) - spline.k]) for spline in self.estimator.bsplines_]


EMITTERS = {"sklearn.preprocessing.SplineTransformer": SplineTransformer}
