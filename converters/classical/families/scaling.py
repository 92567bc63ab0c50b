"""Scalers: StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler.

Source: sklearn/preprocessing/_data.py (1.9).

- dtype: check_array to float64, or float32 where every column is float32. StandardScaler casts its
  attributes to that; the others compute in place (``X -= center_``): each step in the promoted
  dtype, its result rounded back to that of X.
- arithmetic, dense: Standard ``(X - mean_) / scale_``, MinMax ``X * scale_ + min_``, MaxAbs
  ``X / scale_``, Robust ``(X - center_) / scale_``: division, never multiplication by the inverse,
  because a result one ulp off falls on the other side of a split that lies on a data value.
- arithmetic, sparse: multiplication by ``1 / scale_``.
- NaN passes through. Infinity is refused by the source.
- clip: numpy.clip to feature_range (MinMax) or [-1, 1] (MaxAbs); NaN stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, mapped, ranged, unknown

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value


class Scaler(Emitter):
    """``(X - offset) / scale``, and how to undo it for the verifier."""

    def parts(self) -> tuple[Any, Any]:
        """Offset and scale, None where the option is off."""
        raise NotImplementedError

    def fitting(self, fitted: Any, dtype: str) -> Any:
        """A fitted attribute in the dtype that it takes part with."""
        return fitted

    def finished(self, value: Value) -> Value:
        """What follows the division."""
        return value

    def transform(self, X: Features) -> Matrix:
        X = floats(self.graph, X)
        offset, scale = self.parts()
        value = X.value
        if offset is not None:
            value = in_place(self.graph, "Sub", value, self.fitting(offset, X.dtype))
        if scale is not None and X.sparse:
            value = in_place(self.graph, "Mul", value, 1.0 / scale)
        elif scale is not None:
            value = in_place(self.graph, "Div", value, self.fitting(scale, X.dtype))
        return Matrix(self.finished(value), X.width, X.sparse)

    def seen(self) -> tuple[Any, Any]:
        """The least and largest of each column in the fitted data, or about that."""
        offset, scale = self.parts()
        width = SPREAD * (1.0 if scale is None else scale)
        middle = 0.0 if offset is None else offset
        return middle - width, middle + width

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        offset, scale = self.parts()
        before = [
            mapped(fact, lambda y, i=i: _undone(y, offset, scale, i))
            for i, fact in enumerate(after or unknown(self.width))
        ]
        return _as_seen(before, *self.seen())


class StandardScaler(Scaler):
    def seen(self) -> tuple[Any, Any]:
        source = self.estimator
        if source.mean_ is None or source.scale_ is None:
            return super().seen()
        return source.mean_ - SPREAD * source.scale_, source.mean_ + SPREAD * source.scale_

    def parts(self) -> tuple[Any, Any]:
        source = self.estimator
        return (source.mean_ if source.with_mean else None), (source.scale_ if source.with_std else None)

    def fitting(self, fitted: Any, dtype: str) -> Any:
        return fitted.astype(dtype)


class RobustScaler(Scaler):
    def parts(self) -> tuple[Any, Any]:
        source = self.estimator
        return (
            source.center_ if source.with_centering else None,
            source.scale_ if source.with_scaling else None,
        )


class MaxAbsScaler(Scaler):
    def parts(self) -> tuple[Any, Any]:
        return None, self.estimator.scale_

    def seen(self) -> tuple[Any, Any]:
        return -self.estimator.max_abs_, self.estimator.max_abs_

    def finished(self, value: Value) -> Value:
        clipped = getattr(self.estimator, "clip", False)
        return idioms.clip(self.graph, value, -1.0, 1.0) if clipped else value


class MinMaxScaler(Emitter):
    def transform(self, X: Features) -> Matrix:
        X = floats(self.graph, X)
        scaled = in_place(self.graph, "Mul", X.value, self.estimator.scale_)
        value = in_place(self.graph, "Add", scaled, self.estimator.min_)
        if self.estimator.clip:
            value = idioms.clip(self.graph, value, *self.estimator.feature_range)
        return Matrix(value, X.width)

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        scale, low = self.estimator.scale_, self.estimator.min_
        before = [
            mapped(fact, lambda y, i=i: (y - low[i]) / scale[i])
            for i, fact in enumerate(after or unknown(self.width))
        ]
        return _as_seen(before, self.estimator.data_min_, self.estimator.data_max_)


def in_place(graph: Graph, kind: str, x: Value, fitted: Any) -> Value:
    """numpy's ``x op= fitted``: computed in the promoted dtype, rounded back to that of x."""
    import numpy as np

    return graph.cast(graph.arithmetic(kind, x, np.asarray(fitted).reshape(1, -1)), x.dtype)


def _as_seen(facts: Sequence[Feature], low: Any, high: Any) -> list[Feature]:
    """Where nothing else is known of a column, the range of the data that the scaler was fitted on."""
    import numpy as np

    ends = [np.broadcast_to(np.asarray(end, dtype=np.float64), (len(facts),)) for end in (low, high)]
    return [ranged(fact, a, b) for fact, a, b in zip(facts, *ends)]


def _undone(y: np.ndarray, offset: Any, scale: Any, index: int) -> np.ndarray:
    y = y if scale is None else y * scale[index]
    return y if offset is None else y + offset[index]


EMITTERS = {
    "sklearn.preprocessing.StandardScaler": StandardScaler,
    "sklearn.preprocessing.RobustScaler": RobustScaler,
    "sklearn.preprocessing.MaxAbsScaler": MaxAbsScaler,
    "sklearn.preprocessing.MinMaxScaler": MinMaxScaler,
}
