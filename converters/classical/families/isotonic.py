"""Isotonic regression: interpolation between the fitted steps.

Source: sklearn/isotonic.py, numpy.interp (1.9).

- X is cast to the thresholds' dtype; "clip" brings it within the fitted range first, "nan" gives NaN
  beyond it, "raise" raises (the graph answers as with "clip"; the source has no answer there).
- between steps j and j + 1: ``slope_j (x - x_j) + y_j``; at a step its own value; one step: a constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph


def interpolated(graph: Graph, x: Value, places: np.ndarray, values: np.ndarray) -> Value:
    """numpy.interp of x [N] within ascending places [S]: [N] float64."""
    import numpy as np

    places, values = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    x = idioms.clip(graph, graph.cast(x, "float64"), float(places[0]), float(places[-1]))
    reached = graph.cast(graph.greater_equal(idioms.upright(graph, x), places[None]), "int64")
    step = graph.sub(idioms.row_sum(graph, reached, keepdims=False), 1)
    step = graph.maximum(step, 0)
    slopes = np.append(np.diff(values) / np.diff(places), 0.0)
    start, value, slope = (idioms.take(graph, table, step) for table in (places, values, slopes))
    return graph.add(graph.mul(slope, graph.sub(x, start)), value)


class Isotonic(Emitter):
    @property
    def width(self) -> int:
        return 1

    def facts(self) -> list[Feature]:
        return [jumps(self.estimator.X_thresholds_)]

    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        places = np.asarray(source.X_thresholds_)
        x = idioms.flat(graph, graph.cast(numeric(graph, X).value, str(places.dtype)))
        found = self.values(x)
        return graph.cast(found, str(places.dtype))

    def values(self, x: Value) -> Value:
        """The curve at x [N]: [N] float64."""
        import numpy as np

        graph, source = self.graph, self.estimator
        values = np.asarray(source.y_thresholds_, dtype=np.float64)
        wide = graph.cast(x, "float64")
        if len(values) == 1:
            one = idioms.broadcast_rows(graph, values)
            return idioms.flat(graph, one)
        found = interpolated(graph, wide, source.X_thresholds_, values)
        if source.out_of_bounds != "nan":
            return found
        outside = graph.op(
            "Or", graph.less(wide, float(source.X_min_)), graph.greater(wide, float(source.X_max_))
        )
        return graph.where(outside, float("nan"), found)

    def transform(self, X: Features) -> Matrix:
        return Matrix(idioms.upright(self.graph, self.predict(X)), 1)


EMITTERS: dict[str, type[Emitter]] = {"sklearn.isotonic.IsotonicRegression": Isotonic}
