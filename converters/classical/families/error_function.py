"""erf in float64, which ONNX Runtime has in float32 only.

Method: W. J. Cody, "Rational Chebyshev approximation for the error function", Math. Comp. 23 (1969), with the
coefficients of fdlibm's s_erf.c (Sun Microsystems, 1993); relative error below 1e-15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

_SMALL = (
    (
        0.12837916709551256,
        -0.3250421072470015,
        -0.02848174957559851,
        -0.005770270296489442,
        -2.3763016656650163e-05,
    ),
    (
        1.0,
        0.39791722395915535,
        0.0650222499887673,
        0.005081306281875766,
        0.00013249473800432164,
        -3.960228278775368e-06,
    ),
)
_NEAR_ONE = (
    (
        -0.0023621185607526594,
        0.41485611868374833,
        -0.3722078760357013,
        0.31834661990116175,
        -0.11089469428239668,
        0.035478304325618236,
        -0.002166375594868791,
    ),
    (
        1.0,
        0.10642088040084423,
        0.540397917702171,
        0.07182865441419627,
        0.12617121980876164,
        0.01363708391202905,
        0.011984499846799107,
    ),
)
_MIDDLE = (
    (
        -0.009864944034847148,
        -0.6938585727071818,
        -10.558626225323291,
        -62.375332450326006,
        -162.39666946257347,
        -184.60509290671104,
        -81.2874355063066,
        -9.814329344169145,
    ),
    (
        1.0,
        19.651271667439257,
        137.65775414351904,
        434.56587747522923,
        645.3872717332679,
        429.00814002756783,
        108.63500554177944,
        6.570249770319282,
        -0.0604244152148581,
    ),
)
_LARGE = (
    (
        -0.0098649429247001,
        -0.799283237680523,
        -17.757954917754752,
        -160.63638485582192,
        -637.5664433683896,
        -1025.0951316110772,
        -483.5191916086514,
    ),
    (
        1.0,
        30.33806074348246,
        325.7925129965739,
        1536.729586084437,
        3199.8582195085955,
        2553.0504064331644,
        474.52854120695537,
        -22.44095244658582,
    ),
)
_ERX = 8.45062911510467529297e-01


def erf(graph: Graph, x: Value) -> Value:
    """scipy.special.erf of float64."""
    size = graph.op("Abs", x)
    square = graph.mul(x, x)
    small = graph.add(x, graph.mul(x, _ratio(graph, square, _SMALL)))
    near = graph.add(_ERX, _ratio(graph, graph.sub(size, 1.0), _NEAR_ONE))
    floor = graph.maximum(size, 1.25)
    far = graph.div(1.0, graph.mul(floor, floor))
    middle = _ratio(graph, far, _MIDDLE)
    ratio = graph.where(graph.less(size, 1.0 / 0.35), middle, _ratio(graph, far, _LARGE))
    exponent = graph.add(graph.sub(graph.op("Neg", graph.mul(floor, floor)), 0.5625), ratio)
    tail = graph.sub(1.0, graph.div(graph.op("Exp", exponent), floor))
    beyond = graph.where(graph.less(size, 1.25), near, tail)
    signed = graph.mul(beyond, graph.op("Sign", x))
    return graph.where(graph.less(size, 0.84375), small, signed)


def _ratio(graph: Graph, x: Value, pair: tuple[Sequence[float], Sequence[float]]) -> Value:
    above, below = (_polynomial(graph, x, coefficients) for coefficients in pair)
    return graph.div(above, below)


def _polynomial(graph: Graph, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme, the constant term first."""
    value = graph.add(graph.mul(x, coefficients[-1]), coefficients[-2])
    for coefficient in reversed(coefficients[:-2]):
        value = graph.add(graph.mul(value, x), coefficient)
    return value
