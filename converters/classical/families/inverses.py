"""Inverse transforms of a target, for TransformedTargetRegressor.

Source: sklearn/preprocessing/{_function_transformer,_data}.py (1.9). Scalers multiply, then add;
MinMaxScaler subtracts `min_` and divides. A FunctionTransformer's inverse is known where it is one of
numpy's own functions listed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    raise graph.refuse(f"the inverse of {type(transformer).__name__} has no converter")


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
