"""Distances beyond sums of powers: canberra, braycurtis, hamming, of flags, scaled, with gaps.

Source: sklearn/metrics/_dist_metrics.pyx.tp, sklearn/metrics/pairwise.py (1.9), scipy.spatial.distance.

- canberra and braycurtis: sums over the features in their order; 0 / 0 is 0.
- hamming and the metrics of flags (a number is a flag: is it 0?) are ratios of counts, so many rows are
  equally far. Two rows without flags are NaN apart for dice and sokalsneath: refused.
- seuclidean and mahalanobis: ranks are squares.
- haversine: of latitudes and longitudes in radians, the rank ``sin² + cos cos sin sin`` in that order. Sines
  differ in the last bit by library: refused where fitted points are equally far from another, as on a grid.
- minkowski with weights: ``w * |x - y| ** p``, feature after feature.
- nan_euclidean: over the features that both rows have, NaN where there are none. For KNNImputer alone: a
  search by it, or by correlation, takes any of the fitted rows for a row that is nowhere, or constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping

from converters.classical import idioms

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

    Ranks = Callable[[Graph, Value, np.ndarray, Mapping[str, Any]], Value]

FLAGS = ("jaccard", "dice", "rogerstanimoto", "russellrao", "sokalmichener", "sokalsneath", "yule")
PARTITIONED = (*FLAGS, "cosine", "hamming", "mahalanobis")
"""Metrics for which brute force sorts by numpy.argpartition."""

_MOST_ASKED = 200
"""Fitted points for which it is asked whether two others are equally far."""
_UNTOLD = 16
"""Roundings by which haversine ranks differ without a meaning."""

MOST_IN_ORDER = 8
"""Features of a mahalanobis distance that are added in the source's order, by as many nodes squared."""


def known(name: str) -> bool:
    """Whether `ranks_of` has the metric."""
    return name in _RANKS or (name in FLAGS and name != "yule")


def ranks_of(graph: Graph, x: Value, points: np.ndarray, name: str, parameters: Mapping[str, Any]) -> Value:
    """Ranks from rows x [N, F] to points [S, F], both of one float dtype: [N, S] float64."""
    found = _flags(graph, x, points, name) if name in FLAGS else _RANKS[name](graph, x, points, parameters)
    return graph.where(idioms.is_nan(graph, found), float("inf"), found)


def _canberra(graph: Graph, x: Value, points: np.ndarray, parameters: Mapping[str, Any]) -> Value:
    terms = []
    for apart, both in _features(graph, x, points):
        none = graph.equal(both, 0)
        terms.append(graph.where(none, 0.0, graph.div(apart, graph.where(none, 1.0, both))))
    return _added(graph, terms)


def _braycurtis(graph: Graph, x: Value, points: np.ndarray, parameters: Mapping[str, Any]) -> Value:
    pairs = list(_features(graph, x, points))
    apart = _added(graph, [pair[0] for pair in pairs])
    both = _added(graph, [pair[1] for pair in pairs])
    none = graph.equal(both, 0)
    return graph.where(none, 0.0, graph.div(apart, graph.where(none, 1.0, both)))


def _hamming(graph: Graph, x: Value, points: np.ndarray, parameters: Mapping[str, Any]) -> Value:
    width = points.shape[1]
    same = [
        graph.cast(graph.equal(_column(graph, x, i), points[None, :, i]), "float64") for i in range(width)
    ]
    return graph.div(graph.sub(float(width), _added(graph, same)), float(width))


def _seuclidean(graph: Graph, x: Value, points: np.ndarray, parameters: Mapping[str, Any]) -> Value:
    import numpy as np

    if "V" not in parameters:
        raise graph.refuse("seuclidean by the variance of each batch", 'Give metric_params={"V": variances}.')
    variances = np.asarray(parameters["V"], dtype=np.float64)
    squares = [graph.mul(apart, apart) for apart in _apart(graph, x, points)]
    return _added(graph, [graph.div(one, variance) for one, variance in zip(squares, variances.tolist())])


def _mahalanobis(graph: Graph, x: Value, points: np.ndarray, parameters: Mapping[str, Any]) -> Value:
    import numpy as np

    if parameters.get("VI") is None and parameters.get("V") is None:
        raise graph.refuse(
            "mahalanobis by the covariance of each batch", 'Give metric_params={"VI": inverse}.'
        )
    given = parameters.get("VI")
    inverse = np.linalg.inv(np.asarray(parameters["V"])) if given is None else np.asarray(given, np.float64)
    if len(inverse) <= MOST_IN_ORDER:
        return _quadratic(graph, _apart(graph, x, points), inverse)
    apart = graph.cast(graph.sub(idioms.upright(graph, x), points[None]), "float64")
    turned = graph.mul(graph.matmul(apart, inverse.T), apart)
    return graph.op("ReduceSum", turned, np.array([2]), keepdims=0)


def _quadratic(graph: Graph, apart: list[Value], inverse: np.ndarray) -> Value:
    """The quadratic form of differences, added in the source's order."""
    lines = []
    for own, line in zip(apart, inverse):
        turned = _added(graph, [graph.mul(one, float(share)) for one, share in zip(apart, line)])
        lines.append(graph.mul(turned, own))
    return _added(graph, lines)


def weighted_powers(graph: Graph, x: Value, points: np.ndarray, power: float, weights: np.ndarray) -> Value:
    """``Σ w |x - y| ** power`` over the features in their order: [N, S] float64."""
    import numpy as np

    # One exponent for each point: with a single one ONNX Runtime multiplies instead of calling pow.
    exponents = np.full((1, len(points)), power) if len(points) > 1 else power
    sizes = [graph.op("Abs", apart) for apart in _apart(graph, x, points)]
    terms = [size if power == 1 else graph.pow(size, exponents) for size in sizes]
    return _added(graph, [graph.mul(weight, term) for weight, term in zip(weights.tolist(), terms)])


def _haversine(graph: Graph, x: Value, points: np.ndarray, parameters: Mapping[str, Any]) -> Value:
    import numpy as np

    pair = _same_angle(points.astype(np.float64))
    if pair is not None:
        raise graph.refuse(
            f"points {pair[0].tolist()} and {pair[1].tolist()} are equally far from a third but for the "
            "rounding of sines, which tells the nearer",
            "Use a metric without sines: euclidean, over x, y and z of each point.",
        )
    waves = [graph.op("Sin", graph.mul(0.5, apart)) for apart in _apart(graph, x, points)]
    own = graph.op("Cos", graph.cast(_column(graph, x, 0), "float64"))
    circles = graph.mul(own, np.cos(points[None, :, 0].astype(np.float64)))
    across = graph.mul(graph.mul(circles, waves[1]), waves[1])
    return graph.add(graph.mul(waves[0], waves[0]), across)


def _same_angle(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Two points whose haversine ranks to a third differ by a few roundings at most, if there are such."""
    import numpy as np

    points = np.unique(points, axis=0)
    least = _UNTOLD * float(np.finfo(np.float64).eps)
    for point in points[:: max(1, len(points) // _MOST_ASKED)]:
        waves = np.sin(0.5 * (points - point)) ** 2
        rank = waves[:, 0] + np.cos(point[0]) * np.cos(points[:, 0]) * waves[:, 1]
        order = np.argsort(rank)
        near = np.flatnonzero(np.diff(rank[order]) <= least * np.abs(rank[order][1:]))
        if len(near):
            return points[order[near[0]]], points[order[near[0] + 1]]
    return None


def nan_euclidean(graph: Graph, row: tuple[Value, Value], fitted: tuple[np.ndarray, np.ndarray]) -> Value:
    """Distances [N, S] over common features, NaN where there are none; of numbers with 0 where they miss,
    and where that is. In the source's order of rounding: what is left of a row's distance to itself weighs
    much.
    """
    import numpy as np

    (x, missing), (points, absent) = row, fitted
    gone = graph.cast(missing, "float64")
    whole = graph.mul(-2.0, graph.matmul(x, points.T))
    whole = graph.add(whole, idioms.row_sum(graph, graph.mul(x, x)))
    whole = graph.add(whole, np.einsum("ij,ij->i", points, points).reshape(1, -1))
    whole = graph.maximum(whole, 0.0)
    whole = graph.sub(whole, graph.matmul(graph.mul(x, x), absent.T.astype(np.float64)))
    whole = graph.maximum(graph.sub(whole, graph.matmul(gone, (points * points).T)), 0.0)
    common = graph.matmul(graph.sub(1.0, gone), (~absent).T.astype(np.float64))
    share = graph.mul(graph.div(whole, graph.maximum(common, 1.0)), float(points.shape[1]))
    return graph.where(graph.equal(common, 0), float("nan"), graph.op("Sqrt", share))


def _flags(graph: Graph, x: Value, points: np.ndarray, name: str) -> Value:
    import numpy as np

    own = graph.cast(graph.op("Not", graph.equal(x, 0)), "float64")
    others = (points != 0).astype(np.float64)
    both = graph.matmul(own, others.T)
    flags = graph.add(idioms.row_sum(graph, own), others.sum(axis=1)[None])
    unequal = graph.sub(flags, graph.mul(both, 2.0))
    width = float(points.shape[1])
    if name == "jaccard":
        either = graph.sub(flags, both)
        none = graph.equal(either, 0)
        return graph.where(none, 0.0, graph.div(unequal, graph.where(none, 1.0, either)))
    if name == "russellrao":
        return graph.div(graph.sub(width, both), width)
    if name in ("rogerstanimoto", "sokalmichener"):
        return graph.div(graph.mul(2.0, unequal), graph.add(width, unequal))
    if not others.any(axis=1).all():
        raise graph.refuse(
            f"{name} of a fitted row of zeros to another is not a number", "Use metric='jaccard'."
        )
    factor = 2.0 if name == "dice" else 0.5
    return graph.div(unequal, graph.add(graph.mul(both, factor), unequal))


def _features(graph: Graph, x: Value, points: np.ndarray) -> list[tuple[Value, Value]]:
    """For each feature ``|x - y|`` and ``|x| + |y|``, [N, S] float64."""
    import numpy as np

    found = []
    for i, apart in enumerate(_apart(graph, x, points)):
        sizes = np.abs(points[None, :, i].astype(np.float64))
        own = graph.op("Abs", graph.cast(_column(graph, x, i), "float64"))
        found.append((graph.op("Abs", apart), graph.add(own, sizes)))
    return found


def _apart(graph: Graph, x: Value, points: np.ndarray) -> list[Value]:
    """The differences in each feature, [N, S] float64."""
    return [
        graph.cast(graph.sub(_column(graph, x, i), points[None, :, i]), "float64")
        for i in range(points.shape[1])
    ]


def _column(graph: Graph, x: Value, index: int) -> Value:
    return idioms.take_columns(graph, x, [index])


def _added(graph: Graph, terms: list[Value]) -> Value:
    total = terms[0]
    for term in terms[1:]:
        total = graph.add(total, term)
    return total


_RANKS: dict[str, Ranks] = {
    "canberra": _canberra,
    "braycurtis": _braycurtis,
    "hamming": _hamming,
    "seuclidean": _seuclidean,
    "mahalanobis": _mahalanobis,
    "haversine": _haversine,
}
