"""Functions of numpy and scipy that ONNX has no operator for, in float64, to a few ulp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

# Coefficients of Cephes' ndtri.c (S. L. Moshier), as scipy.special.ndtri has them.

_P0 = (
    -5.99633501014107895267e1,
    9.80010754185999661536e1,
    -5.66762857469070293439e1,
    1.39312609387279679503e1,
    -1.23916583867381258016e0,
)
_Q0 = (
    1.0,
    1.95448858338141759834e0,
    4.67627912898881538453e0,
    8.63602421390890590575e1,
    -2.25462687854119370527e2,
    2.00260212380060660359e2,
    -8.20372256168333339912e1,
    1.59056225126211695515e1,
    -1.18331621121330003142e0,
)
_P1 = (
    4.05544892305962419923e0,
    3.15251094599893866154e1,
    5.71628192246421288162e1,
    4.40805073893200834700e1,
    1.46849561928858024014e1,
    2.18663306850790267539e0,
    -1.40256079171354495875e-1,
    -3.50424626827848203418e-2,
    -8.57456785154685413611e-4,
)
_Q1 = (
    1.0,
    1.57799883256466749731e1,
    4.53907635128879210584e1,
    4.13172038254672030440e1,
    1.50425385692907503408e1,
    2.50464946208309415979e0,
    -1.42182922854787788574e-1,
    -3.80806407691578277194e-2,
    -9.33259480895457427372e-4,
)
_P2 = (
    3.23774891776946035970e0,
    6.91522889068984211695e0,
    3.93881025292474443415e0,
    1.33303460815807542389e0,
    2.01485389549179081538e-1,
    1.23716634817820021358e-2,
    3.01581553508235416007e-4,
    2.65806974686737550832e-6,
    6.23974539184983293730e-9,
)
_Q2 = (
    1.0,
    6.02427039364742014255e0,
    3.67983563856160859403e0,
    1.37702099489081330271e0,
    2.16236993594496635890e-1,
    1.34204006088543189037e-2,
    3.28014464682127739104e-4,
    2.89247864745380683936e-6,
    6.79019408009981274425e-9,
)


def log1p(graph: Graph, x: Value) -> Value:
    """numpy.log1p by Kahan's formula: log(u) * x / (u - 1) with u = 1 + x, exact to a few ulp near 0."""
    u = graph.add(1.0, x)
    tiny = graph.sub(u, 1.0)
    small, endless = graph.equal(tiny, 0), graph.equal(u, float("inf"))
    safe = graph.where(small, 1.0, tiny)
    value = graph.mul(graph.op("Log", u), graph.div(x, safe))
    # Far from 0 the quotient is 1, and infinity over infinity would be NaN.
    far = graph.op("Or", endless, graph.greater(u, 1e15))
    series = graph.mul(x, graph.sub(1.0, graph.mul(x, graph.sub(0.5, graph.div(x, 3.0)))))
    return graph.where(_is_tiny(graph, x), series, graph.where(far, graph.op("Log", u), value))


def expm1(graph: Graph, x: Value) -> Value:
    """numpy.expm1 by Kahan's formula: (u - 1) * x / log(u) with u = exp(x), exact to a few ulp near 0."""
    u = graph.op("Exp", x)
    less = graph.sub(u, 1.0)
    logs = graph.op("Log", u)
    none = graph.equal(logs, 0)
    near = graph.less(graph.op("Abs", x), 1.0)
    value = graph.mul(less, graph.div(x, graph.where(none, 1.0, logs)))
    series = graph.mul(x, graph.add(1.0, graph.mul(x, graph.add(0.5, graph.div(x, 6.0)))))
    return graph.where(_is_tiny(graph, x), series, graph.where(near, value, less))


def _is_tiny(graph: Graph, x: Value) -> Value:
    """Where three terms of a series are exact, and ONNX Runtime's logarithm next to 1 is not enough."""
    return graph.less(graph.op("Abs", x), 1e-5)


def cosh(graph: Graph, x: Value) -> Value:
    """numpy.cosh: (exp(x) + exp(-x)) / 2."""
    return graph.div(graph.add(graph.op("Exp", x), graph.op("Exp", graph.op("Neg", x))), 2.0)


def sinh(graph: Graph, x: Value) -> Value:
    """numpy.sinh: by expm1 near 0, (exp(x) - exp(-x)) / 2 elsewhere."""
    e = expm1(graph, x)
    near = graph.div(graph.add(e, graph.div(e, graph.add(e, 1.0))), 2.0)
    far = graph.div(graph.sub(graph.op("Exp", x), graph.op("Exp", graph.op("Neg", x))), 2.0)
    return graph.where(graph.less(graph.op("Abs", x), 1.0), near, far)


def remainder(graph: Graph, x: Value, divisor: float | np.ndarray) -> Value:
    """numpy's ``x % divisor`` for positive divisors: the result is not negative."""
    import numpy as np

    by = graph.constant(np.array(divisor, dtype=x.dtype))
    rest = graph.op("Mod", x, by, fmod=1)
    return graph.where(graph.less(rest, 0), graph.add(rest, by), graph.op("Abs", rest))


def ndtri(graph: Graph, y: Value) -> Value:
    """scipy.special.ndtri, the quantile of the normal distribution, for y in [0, 1]; source: Cephes."""
    upper = graph.greater(y, 1 - 0.13533528323661269189)
    p = graph.where(upper, graph.sub(1.0, y), y)
    middle = graph.greater(p, 0.13533528323661269189)
    result = graph.where(middle, _ndtri_middle(graph, p), graph.op("Neg", _ndtri_tail(graph, p)))
    flipped = graph.op("And", upper, graph.op("Not", middle))
    result = graph.where(flipped, graph.op("Neg", result), result)
    result = graph.where(graph.equal(y, 0), -float("inf"), result)
    return graph.where(graph.equal(y, 1), float("inf"), result)


def _ndtri_middle(graph: Graph, p: Value) -> Value:
    y = graph.sub(p, 0.5)
    y2 = graph.mul(y, y)
    ratio = graph.div(graph.mul(y2, polynomial(graph, y2, _P0)), polynomial(graph, y2, _Q0))
    return graph.mul(graph.add(y, graph.mul(y, ratio)), 2.50662827463100050242e0)


def _ndtri_tail(graph: Graph, p: Value) -> Value:
    x = graph.op("Sqrt", graph.mul(-2.0, graph.op("Log", p)))
    x0 = graph.sub(x, graph.div(graph.op("Log", x), x))
    z = graph.div(1.0, x)
    near = graph.div(graph.mul(z, polynomial(graph, z, _P1)), polynomial(graph, z, _Q1))
    far = graph.div(graph.mul(z, polynomial(graph, z, _P2)), polynomial(graph, z, _Q2))
    return graph.sub(x0, graph.where(graph.less(x, 8.0), near, far))


def polynomial(graph: Graph, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's rule, the highest power first."""
    value = graph.mul(0.0, x)
    for coefficient in coefficients:
        value = graph.add(graph.mul(value, x), float(coefficient))
    return value
