"""SplineTransformer.

Source: sklearn/preprocessing/_polynomial.py (1.9), scipy's compiled __fitpack (de Boor's recursion).

- the values of the degree + 1 splines that are not 0 at x, by de Boor's recursion in float64 over the knots
  around x; interval: the last knot not above x, within the inner ones.
- extrapolation: ``continue`` and ``error`` use the first or last interval; ``constant`` the splines at the
  ends; ``linear`` their tangents there; ``periodic`` wraps x by numpy's ``%``. ``error`` makes the source
  raise.
- ``linear`` with degree 0 or 1 reads its bounds one knot further in for every feature but the first (the
  source raises its own `degree` on the way), and so does the graph; refused where they cross.
- dtype: rounded to float32 where X is float32, unless sparse_output. ``handle_missing="zeros"`` gives zeros
  for NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.families import special

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value


class SplineTransformer(Emitter):
    """All features at once: numbers [N, F, 1], splines [N, F, splines]."""

    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph, matrix = self.estimator, self.graph, floats(self.graph, X)
        x = graph.op("Unsqueeze", graph.cast(matrix.value, "float64"), np.array([2]))
        missing = idioms.is_nan(graph, x)
        value = graph.where(missing, 0.0, self._extended(graph.where(missing, self._ends[0], x)))
        kept = self._count - (0 if source.include_bias else 1)
        if not source.include_bias:
            value = graph.op("Slice", value, np.array([0]), np.array([kept]), np.array([2]))
        value = graph.op("Flatten", value, axis=1)
        value = value if source.sparse_output else graph.cast(value, matrix.dtype)
        return Matrix(value, self.width * kept, bool(source.sparse_output))

    @property
    def _splines(self) -> list[Any]:
        splines: list[Any] = self.estimator.bsplines_
        return splines

    @property
    def _count(self) -> int:
        """Splines of a feature."""
        return int(self._splines[0].c.shape[1])

    @property
    def _degree(self) -> int:
        return int(self._splines[0].k)

    @property
    def _knots(self) -> np.ndarray:
        """[F, knots]: scikit-learn gives every feature as many."""
        import numpy as np

        return np.array([spline.t for spline in self._splines], dtype=np.float64)

    @property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last of the inner knots, [F, 1] each."""
        knots, degree = self._knots, self._degree
        return knots[:, degree, None], knots[:, -degree - 1, None]

    def _extended(self, x: Value) -> Value:
        kind = self.estimator.extrapolation
        if kind == "periodic":
            return self._basis(self._wrapped(x))
        return self._basis(x) if kind in ("continue", "error") else self._beyond(x)

    def _wrapped(self, x: Value) -> Value:
        import numpy as np

        graph, (low, high) = self.graph, self._ends
        flat = ~(high - low > 0)
        rest = special.remainder(graph, graph.sub(x, low), np.where(flat, 1.0, high - low))
        wrapped = graph.add(low, rest)
        return graph.where(graph.constant(flat), 0.0, wrapped) if flat.any() else wrapped

    def _basis(self, x: Value) -> Value:
        """Every spline at x."""
        import numpy as np

        graph, knots, degree = self.graph, self._knots, self._degree
        last = knots.shape[1] - degree - 1
        passed = graph.greater_equal(x, knots[:, degree + 1 : last])
        passed = graph.op("ReduceSum", graph.cast(passed, "int64"), np.array([2]))
        interval = graph.add(passed, degree)
        total = None
        for place, value in enumerate(self._around(interval, x)):
            column = graph.add(interval, place - degree)
            if len(self._splines[0].c) > self._count:
                column = graph.op("Mod", column, np.array(self._count))
            here = graph.op("Equal", column, np.arange(self._count).reshape(1, 1, -1))
            part = graph.where(here, value, 0.0)
            total = part if total is None else graph.add(total, part)
        return total  # type: ignore[return-value]

    def _around(self, interval: Value, x: Value) -> list[Value]:
        """The degree + 1 splines of the interval that x lies in, by de Boor's recursion."""
        import numpy as np

        graph, knots = self.graph, self._knots
        place = graph.add(interval, np.arange(len(knots))[:, None] * knots.shape[1])
        flat = knots.ravel()
        h = [graph.add(graph.mul(x, 0.0), 1.0)]
        for j in range(1, self._degree + 1):
            before, h = h, [graph.mul(x, 0.0)]
            for n in range(1, j + 1):
                right = idioms.take(graph, flat, graph.add(place, n))
                left = idioms.take(graph, flat, graph.add(place, n - j))
                span = graph.sub(right, left)
                none = graph.equal(span, 0)
                w = graph.div(before[n - 1], graph.where(none, 1.0, span))
                w = graph.where(none, 0.0, w)
                h[n - 1] = graph.add(h[n - 1], graph.mul(w, graph.sub(right, x)))
                h.append(graph.mul(w, graph.sub(x, left)))
        return h

    def _beyond(self, x: Value) -> Value:
        """``constant`` or ``linear`` below and above the bounds."""
        import numpy as np

        graph, knots, rows = self.graph, self._knots, np.arange(self.width)
        degrees, reached = self._raised(rows), self._raised(rows + 1).tolist()
        low, high = knots[rows, degrees, None], knots[rows, -degrees - 1, None]
        if (low > high).any():
            raise self.refuse(
                "linear extrapolation of degree 0 or 1 moves a feature's bounds across each other",
                "Fit it with more knots, a higher degree or another extrapolation.",
            )
        inside = self._basis(graph.minimum(graph.maximum(x, low), high))
        below = self._line(x, low, [range(count) for count in reached])
        above = self._line(
            x, high, [range(self._count - self._last(count), self._count) for count in reached]
        )
        value = graph.where(graph.less(x, low), below, inside)
        return graph.where(graph.greater(x, high), above, value)

    def _raised(self, times: np.ndarray) -> np.ndarray:
        """The degree as the source has it after so many features: ``linear`` raises 0 and 1 at each."""
        import numpy as np

        degree, linear = int(self.estimator.degree), self.estimator.extrapolation == "linear"
        raised: np.ndarray = np.maximum(np.minimum(degree + times * linear, 2), degree)
        return raised

    def _last(self, reached: int) -> int:
        """How many of the last splines that is: the source slices ``[-reached:]``, all where it is 0."""
        return reached or (self._count if self.estimator.sparse_output else 0)

    def _line(self, x: Value, bound: np.ndarray, reached: list[range]) -> Value:
        """The splines at a bound, with their slopes for ``linear``; those out of reach are 0."""
        import numpy as np

        graph = self.graph
        mask = np.array([np.isin(np.arange(self._count), np.array(list(part))) for part in reached])
        height = np.where(mask, self._at(bound, 0), 0.0)
        if self.estimator.extrapolation == "constant":
            return graph.add(graph.mul(x, 0.0), height)
        slope = np.where(mask, self._at(bound, 1), 0.0)
        return graph.add(height, graph.mul(graph.sub(x, bound), slope))

    def _at(self, bound: np.ndarray, derivative: int) -> np.ndarray:
        """Every spline's value or slope at its feature's bound: [F, splines]."""
        import numpy as np

        return np.array([spline(end, nu=derivative) for spline, end in zip(self._splines, bound[:, 0])])

    def facts(self) -> list[Feature]:
        return [jumps(spline.t[spline.k : len(spline.t) - spline.k]) for spline in self._splines]


EMITTERS = {"sklearn.preprocessing.SplineTransformer": SplineTransformer}
