"""XGBoost's objectives: from base_score to the margin it stands for, and from margins to answers.

Source: src/objective/*.cc (``ProbToMargin``, ``PredTransform``), src/common/math.h (3.2).

- everything is float32. Sigmoid is ``1 / (exp(min(-x, 88.7)) + 1 + 1e-16)``; the last term is lost
  in float32. Softmax subtracts the largest, sums in float64 and divides in float32.
- base_score is stored as a probability or mean: the margin is its logit or logarithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

IDENTITY = {
    *("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror"),
    *("reg:absoluteerror", "reg:quantileerror", "reg:expectileerror", "binary:logitraw"),
    *("rank:pairwise", "rank:ndcg", "rank:map"),
}
SIGMOID = {"reg:logistic", "binary:logistic"}
EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"}
SOFTMAX = {"multi:softprob", "multi:softmax"}
HINGE = {"binary:hinge"}
KNOWN = IDENTITY | SIGMOID | EXPONENTIAL | SOFTMAX | HINGE


def base_margin(objective: str, base: np.ndarray) -> np.ndarray:
    """The margin that base_score stands for, float32."""
    import numpy as np

    one = np.float32(1)
    with np.errstate(divide="ignore"):
        if objective in SIGMOID:
            return -np.log(one / base - one)
        return np.log(base) if objective in EXPONENTIAL else base


def answers(graph: Graph, objective: str, margins: Value) -> Value:
    """What Booster.predict makes of margins [N, K]: the same shape, but [N, 1] for multi:softmax."""
    if objective in SIGMOID:
        return sigmoid(graph, margins)
    if objective in EXPONENTIAL:
        return graph.op("Exp", margins)
    if objective in HINGE:
        return graph.cast(graph.greater(margins, 0.0), "float32")
    if objective == "multi:softprob":
        return softmax(graph, margins)
    if objective == "multi:softmax":
        return idioms.upright(graph, graph.cast(idioms.argmax(graph, margins), "float32"))
    return margins


def sigmoid(graph: Graph, x: Value) -> Value:
    """The logistic function as XGBoost writes it."""
    exponent = graph.minimum(graph.op("Neg", x), 88.7)
    return graph.div(1.0, graph.add(graph.op("Exp", exponent), 1.0))


def softmax(graph: Graph, x: Value) -> Value:
    """exp(x - largest) over its float64 sum rounded to float32."""
    exps = graph.op("Exp", graph.sub(x, idioms.row_max(graph, x)))
    total = idioms.row_sum(graph, graph.cast(exps, "float64"))
    return graph.div(exps, graph.cast(total, "float32"))
