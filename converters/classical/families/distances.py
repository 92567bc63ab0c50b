"""Distances from rows to fitted points, [N, points] in float64.

Source: sklearn/metrics/_dist_metrics.pyx.tp (trees: sums over the features in their order, of the
differences themselves) and sklearn/metrics/pairwise.py (1.9).

- `Metric.ranks` compare as the distances do: squares for euclidean, powers for minkowski, the square of
  the sine of half the angle for haversine. Neighbours are chosen and radii compared by them, as the
  source's trees do.
- differences are added feature after feature, as the source does, for up to `MOST_IN_ORDER` features;
  beyond that in the order that ONNX Runtime chooses.
- `expanded` is ``-2xy + |x|² + |y|²``, by which the source finds nearest centres, searches neighbours by
  brute force and computes euclidean_distances; it cancels where the source cancels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Mapping

from converters.classical import idioms
from converters.classical.families import metrics
from converters.classical.families.functions import arctan
from converters.classical.graph import Value
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph

MOST_IN_ORDER = 40
"""Features that are added one by one; three nodes each."""

Step = Callable[[Value], Value]


@record
class Metric:
    """A distance: its name as the source resolved it, and its parameters."""

    name: str
    parameters: Mapping[str, Any]

    @property
    def power(self) -> float:
        """The power of which a rank is: distance = rank ** (1 / power)."""
        if self.name in ("euclidean", "l2", "seuclidean", "mahalanobis"):
            return 2.0
        return float(self.parameters.get("p", 2.0)) if self.name == "minkowski" else 1.0

    def rank_of(self, radius: float) -> float:
        """The rank of a distance, computed as the source does."""
        if self.name == "haversine":
            return math.sin(0.5 * radius) ** 2
        return radius**self.power if self.power != 1.0 else radius


def ranks(graph: Graph, x: Value, points: np.ndarray, metric: Metric, single: bool = False) -> Value:
    """Numbers that order as the distances from x [N, F] to points [S, F] do: [N, S] float64.

    `single`: differences and ranks are rounded to float32, as brute force over float32 has them.
    Raises `UnsupportedModelError` for a metric that is not known here.
    """
    import numpy as np

    if single and metric.name == "haversine":
        raise graph.refuse(
            "haversine by brute force over float32", "Use algorithm='ball_tree', or fit in float64."
        )
    if single:
        return graph.cast(graph.cast(_ranks(graph, x, points, metric), "float32"), "float64")
    return _ranks(graph, graph.cast(x, "float64"), np.asarray(points, dtype=np.float64), metric)


def _ranks(graph: Graph, x: Value, points: np.ndarray, metric: Metric) -> Value:
    name, weights = metric.name, metric.parameters.get("w")
    if metrics.known(name):
        return metrics.ranks_of(graph, x, points, name, metric.parameters)
    if name == "sqeuclidean" or (metric.power == 2.0 and weights is None):
        return summed(graph, x, points, lambda d: graph.mul(d, d))
    if name in ("manhattan", "l1", "cityblock"):
        return summed(graph, x, points, lambda d: graph.op("Abs", d))
    if name in ("chebyshev", "infinity"):
        return _largest(graph, x, points)
    if name == "minkowski":
        return _minkowski(graph, x, points, metric)
    if name == "cosine":
        return graph.cast(cosine_distances(graph, x, points), "float64")
    raise graph.refuse(f"the metric {name!r} has no converter")


def distances(graph: Graph, rank: Value, metric: Metric) -> Value:
    """Distances of ranks."""
    if metric.name == "haversine":
        ratio = graph.div(rank, graph.sub(1.0, rank))
        return graph.mul(2.0, arctan(graph, graph.op("Sqrt", ratio)))
    if metric.power == 1.0:
        return rank
    if metric.power == 2.0:
        return graph.op("Sqrt", rank)
    return graph.pow(rank, 1.0 / metric.power)


def summed(graph: Graph, x: Value, points: np.ndarray, step: Step) -> Value:
    """The sum over the features of step(x - point)."""
    import numpy as np

    if not 1 <= points.shape[1] <= MOST_IN_ORDER:
        return graph.op("ReduceSum", step(_differences(graph, x, points)), np.array([2]), keepdims=0)
    total: Value | None = None
    for index in range(points.shape[1]):
        term = step(_difference(graph, x, points, index))
        total = term if total is None else graph.add(total, term)
    assert total is not None
    return total


def _largest(graph: Graph, x: Value, points: np.ndarray) -> Value:
    import numpy as np

    apart = graph.op("Abs", _differences(graph, x, points))
    return graph.op("ReduceMax", apart, np.array([2]), keepdims=0)


def _minkowski(graph: Graph, x: Value, points: np.ndarray, metric: Metric) -> Value:
    import numpy as np

    power, weights = metric.power, metric.parameters.get("w")
    if weights is not None:
        return metrics.weighted_powers(graph, x, points, power, np.asarray(weights, dtype=np.float64))
    if power == 1.0:
        return summed(graph, x, points, lambda d: graph.op("Abs", d))
    # One exponent for each point: with a single one ONNX Runtime multiplies instead of calling pow.
    exponents = np.full((1, len(points)), power) if len(points) > 1 else power
    return summed(graph, x, points, lambda d: graph.pow(graph.op("Abs", d), exponents))


def _difference(graph: Graph, x: Value, points: np.ndarray, index: int) -> Value:
    column = x if points.shape[1] == 1 else idioms.take_columns(graph, x, [index])
    return graph.cast(graph.sub(column, points[None, :, index]), "float64")


def _differences(graph: Graph, x: Value, points: np.ndarray) -> Value:
    """[N, S, F]."""
    return graph.cast(graph.sub(idioms.upright(graph, x), points[None]), "float64")


def cosine_distances(graph: Graph, x: Value, points: np.ndarray) -> Value:
    """1 - cosine_similarity, within [0, 2]."""
    apart = graph.sub(1.0, cosine_similarities(graph, x, points))
    return idioms.clip(graph, apart, 0.0, 2.0)


def cosine_similarities(graph: Graph, x: Value, points: np.ndarray) -> Value:
    """Rows of length 0 stay 0, as sklearn.preprocessing.normalize leaves them."""
    import numpy as np

    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    unit = points / np.where(lengths == 0, 1, lengths)
    length = graph.op("Sqrt", idioms.row_sum(graph, graph.mul(x, x)))
    none = graph.equal(length, 0)
    return graph.matmul(graph.div(x, graph.where(none, 1.0, length)), unit.T)


def expanded(
    graph: Graph, x: Value, points: np.ndarray, whole: bool = True, norms: Norms | None = None
) -> Value:
    """-2 x y + |x|² + |y|² of x [N, F] and points [S, F], in x's dtype, not below 0; no |x|² if not `whole`.

    In the source's order of adding, down to the norms: far from zero their rounding decides.
    """
    import numpy as np

    points = np.ascontiguousarray(points, dtype=x.dtype)
    norms = norms or by_einsum(points)
    if not whole:
        return graph.op("Gemm", x, np.ascontiguousarray(points.T), norms.fitted, alpha=-2.0)
    nothing = np.zeros(1, dtype=x.dtype)
    cross = graph.op("Gemm", x, np.ascontiguousarray(points.T), nothing, alpha=-2.0)
    return graph.maximum(graph.add(graph.add(cross, norms.own(graph, x)), norms.fitted), 0.0)


@record
class Norms:
    """Squared norms: of the fitted points [S], and how those of the rows are added."""

    fitted: np.ndarray
    own: Callable[[Graph, Value], Value]


def by_einsum(points: np.ndarray) -> Norms:
    """sklearn.utils.extmath.row_norms: einsum, whose SIMD lanes are summed apart and in blocks of four."""
    import numpy as np

    return Norms(
        np.einsum("ij,ij->i", points, points), lambda graph, x: squared_norms(graph, x, points.shape[1])
    )


def by_dot(points: np.ndarray) -> Norms:
    """What the pairwise reductions use: BLAS dot, row by row; in order for fewer than 16 features."""
    import numpy as np

    fitted = np.array([np.dot(row, row) for row in points])
    return Norms(fitted, lambda graph, x: _in_order(graph, x, points.shape[1]))


def _in_order(graph: Graph, x: Value, width: int) -> Value:
    """Squared norms [N, 1], one feature after the other."""
    import numpy as np

    running = graph.op("CumSum", graph.mul(x, x), np.array(1, dtype=np.int64))
    return idioms.take_columns(graph, running, [width - 1])


def squared_norms(graph: Graph, x: Value, width: int) -> Value:
    """Squared norms [N, 1] as numpy's einsum adds them with 16 bytes at a time."""
    import numpy as np

    lanes = 2 if x.dtype == "float64" else 4
    vectors = -(-width // lanes)
    squares = graph.mul(x, x)
    if vectors * lanes > width:
        ends = np.array([0, 0, 0, vectors * lanes - width])
        squares = graph.op("Pad", squares, ends, graph.constant(0.0, x.dtype))
    whole = width // (4 * lanes)
    order = [4 * block + i for block in range(whole) for i in (3, 2, 1, 0)]
    order += list(range(4 * whole, vectors))
    parts = graph.op("Reshape", squares, np.array([0, vectors, lanes]))
    parts = graph.op("Gather", parts, np.array(order), axis=1) if whole else parts
    running = graph.op("CumSum", parts, np.array(1, dtype=np.int64))
    by_lane = graph.op("Gather", running, np.array(vectors - 1), axis=1)
    sums = [idioms.take_columns(graph, by_lane, [lane]) for lane in range(lanes)]
    while len(sums) > 1:
        sums = [graph.add(sums[i], sums[i + 1]) for i in range(0, len(sums), 2)]
    return sums[0]


def nearest(graph: Graph, x: Value, points: np.ndarray, given: np.ndarray | None = None) -> Value:
    """The nearest point of each row, the first of equals, as pairwise_distances_argmin has it: [N].

    `given`: squared norms of the points that the source kept.
    """
    import numpy as np

    points = np.ascontiguousarray(points, dtype=np.float64)
    norms = by_dot(points)
    norms = norms if given is None else Norms(np.asarray(given, dtype=np.float64), norms.own)
    return idioms.argmin(graph, expanded(graph, graph.cast(x, "float64"), points, norms=norms))


def nearest_centre(graph: Graph, x: Value, centres: np.ndarray) -> Value:
    """The nearest centre as k-means has it, with numpy's norms: [N]."""
    return idioms.argmin(graph, expanded(graph, x, centres, whole=False))
