"""Inverse transforms of a target, for TransformedTargetRegressor.

Source: sklearn/preprocessing/{_function_transformer,_data}.py (1.9). Scalers multiply, then add;
MinMaxScaler subtracts `min_` and divides. A FunctionTransformer's inverse is known where it is one of
numpy's own functions listed here. PowerTransformer undoes its scaler, then the power in float64;
QuantileTransformer interpolates the quantiles at the shares (normal: at their cumulative distribution), of
which those within 1e-7 of the ends are the ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.families import error_function, special
from converters.classical.families.quantile import THRESHOLD, interpolated

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value


def inverse_of(graph: Graph, transformer: Any, y: Value) -> Value:
    """transformer.inverse_transform(y) of y [N, T]. Raises `UnsupportedModelError` where it is not known."""
    import numpy as np

    kind = f"{type(transformer).__module__.split('.')[0]}.{type(transformer).__name__}"
    if kind == "sklearn.FunctionTransformer":
        return applied(graph, transformer.inverse_func, y, transformer.inv_kw_args)
    if kind in ("sklearn.StandardScaler", "sklearn.RobustScaler", "sklearn.MaxAbsScaler"):
        scale = transformer.scale_
        shift = getattr(transformer, "mean_" if kind.endswith("StandardScaler") else "center_", None)
        scaled = y if scale is None else graph.mul(y, np.asarray(scale))
        off = not getattr(transformer, "with_mean", getattr(transformer, "with_centering", True))
        return scaled if shift is None or off else graph.add(scaled, np.asarray(shift))
    if kind == "sklearn.MinMaxScaler":
        back = graph.div(graph.sub(y, np.asarray(transformer.min_)), np.asarray(transformer.scale_))
        if transformer.clip:
            raise graph.refuse("the inverse of a clipping MinMaxScaler has no converter")
        return back
    if kind == "sklearn.Pipeline":
        for _, step in reversed(transformer.steps):
            y = y if step in (None, "passthrough") else inverse_of(graph, step, y)
        return y
    if kind in _BY_COLUMN:
        parts = [
            _BY_COLUMN[kind](graph, transformer, idioms.take_columns(graph, start, [i]), i)
            for start in [_unscaled(graph, transformer, y)]
            for i in range(int(transformer.n_features_in_))
        ]
        return graph.cast(idioms.concat(graph, parts), y.dtype)
    raise graph.refuse(f"the inverse of {type(transformer).__name__} has no converter")


def _unscaled(graph: Graph, transformer: Any, y: Value) -> Value:
    """What a PowerTransformer's scaler undoes first."""
    return inverse_of(graph, transformer._scaler, y) if getattr(transformer, "standardize", False) else y


def _power_undone(graph: Graph, transformer: Any, y: Value, index: int) -> Value:
    power, y = float(transformer.lambdas_[index]), graph.cast(y, "float64")
    if transformer.method == "box-cox":
        logs = graph.div(special.log1p(graph, graph.mul(y, power)), power) if power else y
        return graph.op("Exp", logs)
    # Each side only sees numbers of its own: the other's powers may be NaN.
    up, down = graph.maximum(y, 0.0), graph.op("Neg", graph.minimum(y, 0.0))
    above = _raised(graph, up, power)
    below = graph.op("Neg", _raised(graph, down, 2.0 - power))
    found = graph.where(graph.greater_equal(y, 0), above, below)
    return graph.where(idioms.is_nan(graph, y), y, found)


def _raised(graph: Graph, x: Value, power: float) -> Value:
    """The number of which x is the Yeo-Johnson transform, of x not below 0."""
    if abs(power) < SPACING:
        return graph.sub(graph.op("Exp", x), 1.0)
    return graph.sub(graph.pow(graph.add(graph.mul(x, power), 1.0), 1.0 / power), 1.0)


SPACING = 2.220446049250313e-16
"""numpy.spacing(1)."""


def _quantile_undone(graph: Graph, transformer: Any, y: Value, index: int) -> Value:
    quantiles, y = transformer.quantiles_[:, index], graph.cast(y, "float64")
    normal = transformer.output_distribution == "normal"
    share = _normal_shares(graph, y) if normal else y
    found = interpolated(graph, share, transformer.references_, quantiles)
    last = graph.greater(graph.add(share, THRESHOLD), 1.0) if normal else graph.equal(share, 1)
    first = graph.less(graph.sub(share, THRESHOLD), 0.0) if normal else graph.equal(share, 0)
    found = graph.where(last, float(quantiles[-1]), found)
    found = graph.where(first, float(quantiles[0]), found)
    return graph.where(idioms.is_nan(graph, y), y, found)


def _normal_shares(graph: Graph, y: Value) -> Value:
    """scipy's ndtr, to an ulp of 1: shares are only interpolated at."""
    erf = error_function.erf(graph, graph.mul(y, math.sqrt(0.5)))
    return graph.mul(graph.add(erf, 1.0), 0.5)


_BY_COLUMN = {
    "sklearn.PowerTransformer": _power_undone,
    "sklearn.QuantileTransformer": _quantile_undone,
}


def applied(graph: Graph, function: Any, x: Value, arguments: Any = None) -> Value:
    """One of numpy's elementwise functions. Raises `UnsupportedModelError` for any other."""
    import numpy as np

    known = {
        np.exp: lambda: graph.op("Exp", x),
        np.expm1: lambda: expm1(graph, x),
        np.exp2: lambda: graph.pow(2.0, x),
        np.log: lambda: graph.op("Log", x),
        np.log1p: lambda: log1p(graph, x),
        np.log2: lambda: graph.div(graph.op("Log", x), float(np.log(2.0))),
        np.log10: lambda: graph.div(graph.op("Log", x), float(np.log(10.0))),
        np.sqrt: lambda: graph.op("Sqrt", x),
        np.square: lambda: graph.mul(x, x),
        np.cbrt: lambda: graph.mul(graph.op("Sign", x), graph.pow(graph.op("Abs", x), 1.0 / 3.0)),
        np.reciprocal: lambda: graph.div(1.0, x),
        np.negative: lambda: graph.op("Neg", x),
        np.abs: lambda: graph.op("Abs", x),
        np.tanh: lambda: graph.op("Tanh", x),
        np.sin: lambda: graph.op("Sin", x),
        np.cos: lambda: graph.op("Cos", x),
        np.sign: lambda: graph.op("Sign", x),
    }
    if function is None:
        return x
    if arguments or not isinstance(function, np.ufunc) or function not in known:
        name = getattr(function, "__name__", repr(function))
        raise graph.refuse(f"the function {name} is Python code", "Use one of numpy's own functions.")
    return known[function]()


def expm1(graph: Graph, x: Value) -> Value:
    """exp(x) - 1 without cancellation: Kahan's method, (u - 1) x / log(u) with u = exp(x).

    W. Kahan, in N. Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1.
    """
    u = graph.op("Exp", x)
    less = graph.sub(u, 1.0)
    log = graph.op("Log", u)
    plain = graph.op("Or", graph.equal(log, 0), graph.greater(graph.op("Abs", x), 1.0))
    exact = graph.mul(less, graph.div(x, graph.where(plain, 1.0, log)))
    same = graph.equal(u, 1)
    return graph.where(same, x, graph.where(plain, less, exact))


def log1p(graph: Graph, x: Value) -> Value:
    """log(1 + x) without cancellation: log(u) x / (u - 1) with u = 1 + x (Higham, as above)."""
    u = graph.add(1.0, x)
    less = graph.sub(u, 1.0)
    none = graph.op("Or", graph.equal(less, 0), graph.op("IsInf", u))
    exact = graph.div(graph.mul(graph.op("Log", u), x), graph.where(none, 1.0, less))
    return graph.where(graph.equal(less, 0), x, graph.where(none, graph.op("Log", u), exact))
