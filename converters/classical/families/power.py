"""PowerTransformer.

Source: sklearn/preprocessing/_data.py (1.9), scipy/stats/_morestats.py, scipy.special.boxcox (1.18).

- yeo-johnson, x >= 0: ``expm1(l * log1p(x)) / l``, log1p(x) where |l| < eps; x < 0:
  ``-expm1((2 - l) * log1p(-x)) / (2 - l)``, ``-log1p(-x)`` where |l - 2| <= eps.
- box-cox: ``expm1(l * log(x)) / l``, log(x) where |l| < 1e-19; x must be positive, else the source raises.
- dtype: a float32 log1p is rounded, then float64 with the fitted l; each column is rounded to the dtype of X.
- standardize: StandardScaler's arithmetic behind it. NaN passes through.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Sequence

from converters.classical import emit, idioms
from converters.classical.columns import Features, Matrix, columns, floats
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, unknown
from converters.classical.families import precision, special
from zoo.records import ColumnDomain

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

EPS = 2.220446049250313e-16
MOST_LOST = 1e-9
"""Trees and neighbours behind it see single bits."""


class PowerTransformer(Emitter):
    def transform(self, X: Features) -> Features:
        X = floats(self.graph, X)
        write = yeo_johnson if self.estimator.method == "yeo-johnson" else box_cox
        parts = [
            self.graph.cast(write(self.graph, column.value, float(power)), X.dtype)
            for column, power in zip(columns(self.graph, X), self.estimator.lambdas_)
        ]
        result = Matrix(idioms.concat(self.graph, parts), X.width)
        if not self.estimator.standardize:
            return result
        self._demand_meaning()
        return emit.transform(self.graph, self.estimator._scaler, result, "scaler")

    def _demand_meaning(self) -> None:
        """Refuse columns that the power leaves so narrow that the last bit of a logarithm shows."""
        import numpy as np

        scaler, powers = self.estimator._scaler, np.asarray(self.estimator.lambdas_)
        exponents = np.log1p(np.abs(powers * scaler.mean_))
        share = EPS * float(np.max(exponents * np.abs(scaler.mean_) / scaler.scale_, initial=0.0))
        way_out = "Scale the features before it (StandardScaler), so that they are not far from zero."
        precision.demand(self, share, MOST_LOST, way_out)

    def facts(self) -> list[Feature]:
        if self.estimator.method == "yeo-johnson":
            return unknown(self.width)
        return [Feature(None, ColumnDomain(low=0.01, high=10.0)) for _ in range(self.width)]

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        """Ranges only: undone logarithms are an ulp beside where a tree behind them jumps."""
        behind = after or unknown(self.width)
        return [self._before(i, *pair) for i, pair in enumerate(zip(self.facts(), behind))]

    def _before(self, index: int, own: Feature, after: Feature) -> Feature:
        import numpy as np

        low, high = after.domain.low, after.domain.high
        if low is None or high is None:
            if not self.estimator.standardize:
                return own
            low, high = -SPREAD, SPREAD
        back = self._undone(np.linspace(low, high, 9), index)
        back = back[np.isfinite(back)]
        low, high = back.min(initial=np.inf), back.max(initial=-np.inf)
        if not low < high:
            return own
        return Feature(own.dtype, dataclasses.replace(own.domain, low=float(low), high=float(high)))

    def _undone(self, values: np.ndarray, index: int) -> np.ndarray:
        """Inputs of one column that give `values`; NaN where none does."""
        import numpy as np

        rows = np.zeros((len(values), self.width))
        rows[:, index] = values
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it was fitted on named columns
            return np.asarray(self.estimator.inverse_transform(rows)[:, index], dtype=np.float64)


def yeo_johnson(graph: Graph, x: Value, power: float) -> Value:
    """scipy.stats.yeojohnson in float64."""
    size = graph.op("Abs", x)
    logs = graph.cast(graph.cast(special.log1p(graph, graph.cast(size, "float64")), x.dtype), "float64")
    above = logs if abs(power) < EPS else _powered(graph, logs, power)
    below = logs if abs(power - 2) <= EPS else _powered(graph, logs, 2 - power)
    return graph.where(graph.greater_equal(x, 0), above, graph.op("Neg", below))


def box_cox(graph: Graph, x: Value, power: float) -> Value:
    """scipy.special.boxcox in float64, for positive x."""
    logs = graph.op("Log", graph.cast(x, "float64"))
    return logs if abs(power) < 1e-19 else _powered(graph, logs, power)


def _powered(graph: Graph, logs: Value, power: float) -> Value:
    return graph.div(special.expm1(graph, graph.mul(power, logs)), power)


EMITTERS = {"sklearn.preprocessing.PowerTransformer": PowerTransformer}
