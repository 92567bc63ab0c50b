"""FunctionTransformer of numpy functions.

Source: sklearn/preprocessing/_function_transformer.py (1.9), numpy's ufuncs.

- the function is applied to every element in the dtype of its column; integers and booleans become float64
  in functions that have no integer form.
- only functions of `FUNCTIONS` and `SAME_DTYPE`, without kw_args, and `CALLS`, with those that are written:
  any other is arbitrary Python and refused by its name.
- arctan: a float32 guess y, and the angle that is left, ``atan((x - tan y) / (1 + x tan y))``, as its series.
- numpy: log(0) is -inf, logs of negative numbers are NaN, rint rounds halves to even, sign(NaN) is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable

from converters.classical import idioms
from converters.classical.columns import Column, Features, Matrix, Table, numeric
from converters.classical.emit import Emitter
from converters.classical.families import special

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

Written = Callable[["Graph", "Value"], "Value"]


def operator(kind: str) -> Written:
    """A function that is one operator."""
    return lambda graph, x: graph.op(kind, x)


def arctan(graph: Graph, x: Value) -> Value:
    """ONNX Runtime has Atan in float32 only."""
    steep = graph.greater(graph.op("Abs", x), 1.0)
    flat = graph.where(steep, graph.div(1.0, x), x)
    guess = graph.cast(graph.op("Atan", graph.cast(flat, "float32")), x.dtype)
    tangent = graph.div(graph.op("Sin", guess), graph.op("Cos", guess))
    rest = graph.div(graph.sub(flat, tangent), graph.add(1.0, graph.mul(flat, tangent)))
    rest = graph.sub(rest, graph.div(graph.mul(rest, graph.mul(rest, rest)), 3.0))
    angle = graph.add(guess, rest)
    return graph.where(steep, graph.sub(graph.mul(graph.op("Sign", x), math.pi / 2), angle), angle)


def arcsinh(graph: Graph, x: Value) -> Value:
    """``log1p(|x| + x² / (1 + sqrt(1 + x²)))``, with the sign of x; beyond 1e15 ``log(2 |x|)``."""
    size = graph.op("Abs", x)
    small = graph.minimum(size, 1e15)
    square = graph.mul(small, small)
    root = graph.add(1.0, graph.op("Sqrt", graph.add(1.0, square)))
    near = special.log1p(graph, graph.add(small, graph.div(square, root)))
    far = graph.add(graph.op("Log", size), math.log(2))
    value = graph.where(graph.greater(size, 1e15), far, near)
    return graph.mul(graph.op("Sign", x), value)


def cbrt(graph: Graph, x: Value) -> Value:
    """The real cube root: a power, which 1/3 is not exact for, and a step of Newton's."""
    size = graph.op("Abs", x)
    root = graph.pow(size, 1 / 3)
    better = graph.sub(root, graph.div(graph.sub(root, graph.div(size, graph.mul(root, root))), 3.0))
    ends = graph.op("Or", graph.equal(root, 0), graph.equal(root, float("inf")))
    return graph.mul(graph.op("Sign", x), graph.where(ends, root, better))


FUNCTIONS: dict[str, Written] = {
    "arctan": arctan,
    "arcsinh": arcsinh,
    "cbrt": cbrt,
    "log1p": special.log1p,
    "expm1": special.expm1,
    "log": operator("Log"),
    "log2": lambda graph, x: graph.div(graph.op("Log", x), math.log(2)),
    "log10": lambda graph, x: graph.div(graph.op("Log", x), math.log(10)),
    "exp": operator("Exp"),
    "exp2": lambda graph, x: graph.pow(2.0, x),
    "sqrt": operator("Sqrt"),
    "sin": operator("Sin"),
    "cos": operator("Cos"),
    "tan": lambda graph, x: graph.div(graph.op("Sin", x), graph.op("Cos", x)),
    "sinh": special.sinh,
    "cosh": special.cosh,
    "tanh": operator("Tanh"),
    "floor": operator("Floor"),
    "ceil": operator("Ceil"),
    "trunc": lambda graph, x: graph.mul(graph.op("Sign", x), graph.op("Floor", graph.op("Abs", x))),
    "rint": operator("Round"),
    "reciprocal": lambda graph, x: graph.div(1.0, x),
    "deg2rad": lambda graph, x: graph.mul(x, math.pi / 180),
    "rad2deg": lambda graph, x: graph.mul(x, 180 / math.pi),
}
"""Those that are float64 for integers too."""
SAME_DTYPE: dict[str, Written] = {
    "absolute": operator("Abs"),
    "fabs": operator("Abs"),
    "square": lambda graph, x: graph.mul(x, x),
    "negative": operator("Neg"),
    "positive": lambda graph, x: x,
    "sign": operator("Sign"),
}
"""Those that keep int64."""

ASKING: dict[str, Written] = {
    "isnan": idioms.is_nan,
    "isinf": lambda graph, x: graph.equal(graph.op("Abs", x), float("inf")),
    "isfinite": lambda graph, x: graph.less(graph.op("Abs", x), float("inf")),
}
"""Those that answer with booleans."""
NARROW = ("int8", "uint8", "int16", "uint16", "float16")


def _clipped(graph: Graph, x: Value, low: Any = None, high: Any = None, **other: Any) -> Value:
    """numpy.clip with numbers; `a_min` and `min` are the same."""
    low, high = other.get("a_min", other.get("min", low)), other.get("a_max", other.get("max", high))
    if not {*other} <= {"a_min", "a_max", "min", "max"} or not all(_is_number(one) for one in (low, high)):
        raise graph.refuse(f"numpy.clip with kw_args {sorted(other)}")
    low_end = float("-inf") if low is None else float(low)
    return idioms.clip(graph, x, low_end, float("inf") if high is None else float(high))


def _nan_to_num(graph: Graph, x: Value, **given: Any) -> Value:
    """numpy.nan_to_num with numbers."""
    import numpy as np

    if not {*given} <= {"nan", "posinf", "neginf", "copy"} or not all(map(_is_number, given.values())):
        raise graph.refuse(f"numpy.nan_to_num with kw_args {sorted(given)}")
    ends = np.finfo(x.dtype)
    ends_by_name = {"nan": 0.0, "posinf": float(ends.max), "neginf": float(ends.min)}
    nan, high, low = (
        default if given.get(name) is None else float(given[name]) for name, default in ends_by_name.items()
    )
    x = graph.where(idioms.is_nan(graph, x), nan, x)
    x = graph.where(graph.equal(x, float("inf")), high, x)
    return graph.where(graph.equal(x, float("-inf")), low, x)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


CALLS: dict[str, Callable[..., Value]] = {"clip": _clipped, "nan_to_num": _nan_to_num}
"""Functions of numpy that are no ufuncs, and take numbers beside the rows; of float columns."""


class FunctionTransformer(Emitter):
    def transform(self, X: Features) -> Features:
        if self.estimator.func is None:
            return X
        name = self._name()
        if isinstance(X, Table) and not self.estimator.validate:
            return Table(
                tuple(Column(self._applied(name, column.value), column.name) for column in X.columns)
            )
        matrix = numeric(self.graph, X)
        if matrix.sparse:
            raise self.refuse(f"numpy.{name} of a sparse matrix")
        return Matrix(self._applied(name, matrix.value), matrix.width)

    def _applied(self, name: str, x: Value) -> Value:
        if x.dtype == "string" or x.dtype in NARROW:
            raise self.refuse(f"numpy.{name} of {'text' if x.dtype == 'string' else x.dtype}")
        if name in CALLS:
            if not x.dtype.startswith("float"):
                raise self.refuse(f"numpy.{name} of {x.dtype}")
            return CALLS[name](self.graph, x, **(self.estimator.kw_args or {}))
        if name in SAME_DTYPE and x.dtype != "bool" and not (name == "fabs" and x.dtype == "int64"):
            return SAME_DTYPE[name](self.graph, x)
        if name in SAME_DTYPE and x.dtype == "bool":
            raise self.refuse(f"numpy.{name} of booleans")
        floats = x if x.dtype.startswith("float") else self.graph.cast(x, "float64")
        return _UFUNCS[name](self.graph, floats)

    def _name(self) -> str:
        import numpy as np

        function, known = self.estimator.func, {**_UFUNCS, **CALLS}
        name = str(getattr(function, "__name__", ""))
        if name not in known or getattr(np, name) is not function:
            raise self.refuse(
                f"func {_described(function)} is a function of its own",
                f"Of numpy's functions {', '.join(sorted(known))} are known. Apply others before the graph.",
            )
        if self.estimator.kw_args and name not in CALLS:
            raise self.refuse(f"numpy.{name} with kw_args {sorted(self.estimator.kw_args)}")
        return name


_UFUNCS = {**FUNCTIONS, **SAME_DTYPE, **ASKING}


def _described(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"


EMITTERS = {"sklearn.preprocessing.FunctionTransformer": FunctionTransformer}
