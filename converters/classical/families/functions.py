"""FunctionTransformer of numpy functions.

Source: sklearn/preprocessing/_function_transformer.py (1.9), numpy's ufuncs.

- the function is applied to every element in the dtype of its column; integers and booleans become float64
  in functions that have no integer form.
- only functions of `FUNCTIONS`, without kw_args: any other is arbitrary Python and refused by its name.
- numpy: log(0) is -inf, logs of negative numbers are NaN, rint rounds halves to even, sign(NaN) is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable

from converters.classical.columns import Column, Features, Matrix, Table, numeric
from converters.classical.emit import Emitter
from converters.classical.families import special

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

Written = Callable[["Graph", "Value"], "Value"]


def operator(kind: str) -> Written:
    """A function that is one operator."""
    return lambda graph, x: graph.op(kind, x)


FUNCTIONS: dict[str, Written] = {
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
        if x.dtype == "string":
            raise self.refuse(f"numpy.{name} of text")
        if name in SAME_DTYPE and x.dtype != "bool" and not (name == "fabs" and x.dtype == "int64"):
            return SAME_DTYPE[name](self.graph, x)
        if name not in FUNCTIONS and x.dtype == "bool":
            raise self.refuse(f"numpy.{name} of booleans")
        floats = x if x.dtype.startswith("float") else self.graph.cast(x, "float64")
        return {**FUNCTIONS, **SAME_DTYPE}[name](self.graph, floats)

    def _name(self) -> str:
        import numpy as np

        function, known = self.estimator.func, {**FUNCTIONS, **SAME_DTYPE}
        name = str(getattr(function, "__name__", ""))
        if not isinstance(function, np.ufunc) or name not in known or getattr(np, name) is not function:
            raise self.refuse(
                f"func {_described(function)} is a function of its own",
                f"Of numpy's functions {', '.join(sorted(known))} are known. Apply others before the graph.",
            )
        if self.estimator.kw_args:
            raise self.refuse(f"numpy.{name} with kw_args {sorted(self.estimator.kw_args)}")
        return name


def _described(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"


EMITTERS = {"sklearn.preprocessing.FunctionTransformer": FunctionTransformer}
