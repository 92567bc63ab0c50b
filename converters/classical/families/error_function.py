"""erf in float64, which ONNX Runtime has in float32 only.

Method: W. J. Cody, "Rational Chebyshev approximation for the error function", Math. Comp. 23 (1969), with the
coefficients of fdlibm's s_erf.c (Sun Microsystems, 1993); relative error below 1e-15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

_SMALL = (
    (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02)
    + (-5.77027029648944159157e-03, -2.37630166566501626084e-05),
    (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03)
    + (1.32494738004321644526e-04, -3.96022827877536812320e-06),
)
_NEAR_ONE = (
    (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01)
    + (3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02)
    + (-2.16637559486879084300e-03,),
    (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02)
    + (1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02),
)
_MIDDLE = (
    (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01)
    + (-6.23753324503260060396e01, -1.62396669462573470355e02, -1.84605092906711035994e02)
    + (-8.12874355063065934246e01, -9.81432934416914548592e00),
    (1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02)
    + (6.45387271733267880336e02, 4.29008140027567833386e02, 1.08635005541779435134e02)
    + (6.57024977031928170135e00, -6.04244152148580987438e-02),
)
_LARGE = (
    (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01)
    + (-1.60636384855821916062e02, -6.37566443368389627722e02, -1.02509513161107724954e03)
    + (-4.83519191608651397019e02,),
    (1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03)
    + (3.19985821950859553908e03, 2.55305040643316442583e03, 4.74528541206955367215e02)
    + (-2.24409524465858183362e01,),
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
