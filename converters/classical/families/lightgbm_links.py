"""LightGBM's objectives: what each makes of the raw scores (``ConvertOutput``), in float64.

Source: src/objective/{regression,binary,multiclass,xentropy,rank}_objective.hpp (4.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from converters.classical import idioms

if TYPE_CHECKING:
    from converters.classical.families.lightgbm_model import Forest
    from converters.classical.graph import Graph, Value

IDENTITY = {
    *("regression", "regression_l1", "huber", "fair", "quantile", "mape"),
    *("lambdarank", "rank_xendcg", "custom", "none"),
}
EXPONENTIAL = {"poisson", "gamma", "tweedie"}
SIGMOID = {"binary", "multiclassova", "cross_entropy"}
KNOWN = IDENTITY | EXPONENTIAL | SIGMOID | {"multiclass", "cross_entropy_lambda"}


def known(objective: Sequence[str]) -> bool:
    """Whether the link of an objective is known; none is written for one of the user's own."""
    return not objective or objective[0] in KNOWN


def answers(graph: Graph, forest: Forest, scores: Value) -> Value:
    """The objective's answers for raw scores [N, outputs], in their shape."""
    name = forest.objective[0] if forest.objective else "none"
    if name in EXPONENTIAL:
        return graph.op("Exp", scores)
    if name in SIGMOID:
        factor = forest.setting("sigmoid", 1.0)
        return idioms.expit(graph, scores if factor == 1.0 else graph.mul(scores, factor))
    if name == "multiclass":
        return idioms.shares(graph, scores)
    if name == "cross_entropy_lambda":
        return log1p(graph, graph.op("Exp", scores))
    if "sqrt" in forest.objective:
        return graph.mul(graph.op("Sign", scores), graph.mul(scores, scores))
    return scores


def log1p(graph: Graph, x: Value) -> Value:
    """log(1 + x) of x >= 0 without loss for small x: x log(u) / (u - 1) with u = 1 + x rounded.

    W. Kahan's formula, see Goldberg, What Every Computer Scientist Should Know About
    Floating-Point Arithmetic (1991), theorem 4.
    """
    u = graph.add(1.0, x)
    gap = graph.sub(u, 1.0)
    tiny = graph.equal(gap, 0.0)
    corrected = graph.mul(x, graph.div(graph.op("Log", u), graph.where(tiny, 1.0, gap)))
    return graph.where(tiny, x, graph.where(graph.op("IsInf", x), x, corrected))
