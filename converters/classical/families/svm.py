"""SVC, NuSVC, SVR, NuSVR and OneClassSVM.

Source: sklearn/svm/_base.py and libsvm's svm.cpp as scikit-learn bundles it (1.9).

- dtype: float64 throughout.
- kernels: linear ``xy``, poly ``(gamma xy + coef0) ** degree``, sigmoid ``tanh(gamma xy + coef0)``, rbf
  ``exp(-gamma |x - y|²)`` of the differences, precomputed the columns of the support vectors.
- one decision for each pair of classes i < j: the sum over the support vectors of both of coefficient *
  kernel, plus the intercept. Positive votes for i, all else for j; the label has most votes, the first of
  equals. Two classes: scikit-learn's decision is the negative one.
- "ovr" shape: votes plus ``s / (3 (|s| + 1))`` of the summed confidences; break_ties takes its argmax.
- probability: ``1 / (1 + exp(A d + B))`` for each pair, within [1e-7, 1 - 1e-7], coupled by libsvm's
  iteration until the largest change is below 0.005 / classes, at most 100 times or `classes` times; rows
  stop one by one. Also for two classes.
- one class: +1 where the decision is above 0, else -1.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import FADING, Feature, around
from converters.classical.families import precision
from converters.classical.families.distances import summed
from converters.classical.families.linear import dense
from converters.classical.graph import Graph, Value

if TYPE_CHECKING:
    import numpy as np

WELL_CONDITIONED = 1e3
"""Largest gamma * radius² for which |x|² + |y|² - 2xy about a point of the data loses no more than 1e-12."""

MOST_LOST = 1e-6
"""Of decisions, at worst; the sums of support vectors lose far less of it than they may."""


class SupportVectors(Emitter):
    """Kernels and decisions of all five."""

    def facts(self) -> list[Feature]:
        if self.estimator.kernel not in FADING:
            return super().facts()
        return around(self.estimator.support_vectors_)

    def kernel(self, X: Features) -> Value:
        """[N, support vectors] float64."""
        import numpy as np

        graph, source = self.graph, self.estimator
        x = graph.cast(numeric(graph, X).value, "float64")
        if source.kernel == "precomputed":
            return idioms.take_columns(graph, x, np.asarray(source.support_))
        vectors = dense(source.support_vectors_).astype(np.float64)
        if source.kernel == "linear":
            return graph.matmul(x, vectors.T)
        if source.kernel == "rbf":
            return radial(graph, x, vectors, float(source._gamma))
        if source.kernel not in ("poly", "sigmoid"):
            raise self.refuse(f"the kernel {source.kernel!r} is Python code")
        inner = graph.add(graph.mul(graph.matmul(x, vectors.T), float(source._gamma)), float(source.coef0))
        if source.kernel == "sigmoid":
            return graph.op("Tanh", inner)
        return graph.pow(inner, float(source.degree))

    def pairs(self, X: Features) -> Value:
        """libsvm's decisions: [N, pairs], [N, 1] for two classes, one class and regression."""
        import numpy as np

        graph, intercept = self.graph, np.asarray(self.estimator._intercept_)
        weights = self.weights()
        self._demand_meaning(weights, intercept)
        if self.estimator.kernel == "linear" and len(weights) > weights.shape[1]:
            x = graph.cast(numeric(graph, X).value, "float64")
            merged = weights.T @ dense(self.estimator.support_vectors_)
            return graph.op("Gemm", x, np.ascontiguousarray(merged.T), intercept)
        return graph.op("Gemm", self.kernel(X), weights, intercept)

    def _demand_meaning(self, weights: np.ndarray, intercept: np.ndarray) -> None:
        """Refuse linear and polynomial kernels of numbers so large that their sums cancel."""
        import numpy as np
        from sklearn.metrics.pairwise import pairwise_kernels

        source = self.estimator
        if source.kernel not in ("linear", "poly") or not len(weights):
            return
        vectors = dense(source.support_vectors_).astype(np.float64)
        asked = {"gamma": source._gamma, "degree": source.degree, "coef0": source.coef0}
        kernel = pairwise_kernels(
            precision.some(vectors), vectors, metric=source.kernel, filter_params=True, **asked
        )
        share = precision.lost(kernel, weights, "float64", intercept.reshape(1, -1))
        way_out = "Scale the features before it (StandardScaler)."
        precision.demand(self, share, MOST_LOST, way_out)

    def weights(self) -> np.ndarray:
        """Coefficients by support vector and pair: [support vectors, pairs]."""
        import numpy as np

        dual = dense(self.estimator._dual_coef_).astype(np.float64)
        if len(dual) == 1:
            return np.ascontiguousarray(dual.T)
        ends = np.cumsum(self.estimator._n_support)
        starts = ends - self.estimator._n_support
        pairs = list(itertools.combinations(range(len(ends)), 2))
        weights = np.zeros((dual.shape[1], len(pairs)))
        for column, (i, j) in enumerate(pairs):
            weights[starts[i] : ends[i], column] = dual[j - 1, starts[i] : ends[i]]
            weights[starts[j] : ends[j], column] = dual[i, starts[j] : ends[j]]
        return weights


def radial(graph: Graph, x: Value, points: np.ndarray, gamma: float) -> Value:
    """exp(-gamma |x - y|²): by one product about a point of the data where that is as exact."""
    import numpy as np

    centre = np.median(points, axis=0)
    centre = points[np.argmin(((points - centre) ** 2).sum(axis=1))] if len(points) else centre
    moved = points - centre
    if len(points) and gamma * float((moved**2).sum(axis=1).max()) <= WELL_CONDITIONED:
        near = graph.sub(x, centre)
        own = idioms.row_sum(graph, graph.mul(near, near))
        norms = (moved**2).sum(axis=1)
        half = graph.op("Gemm", near, np.ascontiguousarray(moved.T), norms, alpha=-2.0)
        squares = graph.maximum(graph.add(half, own), 0.0)
    else:
        squares = summed(graph, x, points, lambda d: graph.mul(d, d))
    return graph.op("Exp", graph.mul(squares, -gamma))


class Regressor(SupportVectors):
    def predict(self, X: Features) -> Value:
        return idioms.flat(self.graph, self.pairs(X))


class OneClass(SupportVectors):
    def decision_function(self, X: Features) -> Value:
        return idioms.flat(self.graph, self.pairs(X))

    def predict(self, X: Features) -> Value:
        inlier = self.graph.greater(self.decision_function(X), 0)
        return self.graph.where(inlier, 1, self.graph.constant(-1, "int64"))

    def score_samples(self, X: Features) -> Value:
        import numpy as np

        return self.graph.add(self.decision_function(X), np.asarray(self.estimator.offset_).reshape(-1))


def one_versus_one(graph: Graph, votes_second: Value, confidences: Value, classes: int) -> Value:
    """_ovr_decision_function: `votes_second` [N, pairs] is 1 where the second class of a pair has it."""
    import numpy as np

    first, second = (_membership(classes, place) for place in (0, 1))
    votes = graph.add(graph.matmul(graph.sub(1.0, votes_second), first), graph.matmul(votes_second, second))
    sums = graph.matmul(confidences, np.asarray(second - first))
    return graph.add(votes, graph.div(sums, graph.mul(3.0, graph.add(graph.op("Abs", sums), 1.0))))


def _membership(classes: int, place: int) -> np.ndarray:
    """[pairs, classes]: 1 where a class has this place in a pair."""
    import numpy as np

    pairs = np.array(list(itertools.combinations(range(classes), 2)))
    table: np.ndarray = np.eye(classes)[pairs[:, place]]
    return table


class Classifier(SupportVectors):
    @property
    def count(self) -> int:
        return len(self.estimator.classes_)

    def decision_function(self, X: Features) -> Value:
        pairs = self.pairs(X)
        if self.count == 2:
            return idioms.flat(self.graph, self.graph.op("Neg", pairs))
        if self.estimator.decision_function_shape == "ovo":
            return pairs
        second = self.graph.cast(self.graph.less(pairs, 0), "float64")
        return one_versus_one(self.graph, second, self.graph.op("Neg", pairs), self.count)

    def predict(self, X: Features) -> Value:
        graph = self.graph
        first = graph.greater(self.pairs(X), 0)
        if self.count == 2:
            index = graph.cast(idioms.flat(graph, graph.op("Not", first)), "int64")
        elif self.estimator.break_ties:
            index = idioms.argmax(graph, self.decision_function(X))
        else:
            votes = graph.cast(first, "float64")
            wins, losses = (_membership(self.count, place) for place in (0, 1))
            total = graph.add(graph.matmul(votes, wins), graph.matmul(graph.sub(1.0, votes), losses))
            index = idioms.argmax(graph, total)
        return idioms.classes(graph, self.estimator.classes_, index)

    def predict_proba(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        exponents = graph.add(graph.mul(self.pairs(X), np.asarray(source._probA)), np.asarray(source._probB))
        first = idioms.expit(graph, graph.op("Neg", exponents))
        return coupled(graph, idioms.clip(graph, first, 1e-7, 1 - 1e-7), self.count)

    def predict_log_proba(self, X: Features) -> Value:
        return self.graph.op("Log", self.predict_proba(X))


def coupled(graph: Graph, first: Value, classes: int) -> Value:
    """libsvm's multiclass_probability of [N, pairs] (probability of the first of a pair): [N, classes]."""
    import numpy as np
    from onnx import compose

    by_class = _against(graph, first, classes)
    start = idioms.broadcast_rows(graph, np.full(classes, 1.0 / classes))
    going = idioms.broadcast_rows(graph, np.ones(1, dtype=bool))
    states = (start, going, by_class)
    trips = graph.constant(np.array(max(100, classes)), "int64")
    dtypes = ("float64", "bool", "float64")
    body = compose.add_prefix_graph(_round(classes), "/".join([*graph.path, "round."]))
    return graph.ops("Loop", trips, graph.constant(True), *states, dtypes=dtypes, body=body)[0]


def _against(graph: Graph, first: Value, classes: int) -> Value:
    """r[j, i] for all classes i (rows) and j, the probability of j against i: [N, i, j]."""
    import numpy as np

    pairs = list(itertools.combinations(range(classes), 2))
    to = np.zeros((2, len(pairs), classes * classes))
    for column, (i, j) in enumerate(pairs):
        to[0, column, j * classes + i] = 1.0
        to[1, column, i * classes + j] = 1.0
    flat = graph.add(graph.matmul(first, to[0]), graph.matmul(graph.sub(1.0, first), to[1]))
    return graph.op("Reshape", flat, np.array([0, classes, classes]))


def _round(classes: int) -> Any:
    """The body of the iteration: (probabilities [N, K], going [N, 1], r [N, K, K]) to the same."""
    body = Graph()
    body.input("round", "int64", ())
    body.input("carry_on", "bool", ())
    p = body.input("p", "float64", ("n", classes))
    going = body.input("going", "bool", ("n", 1))
    r = body.input("r", "float64", ("n", classes, classes))
    q, diagonal = _coefficients(body, r, classes)
    qp = _product(body, q, p)
    pqp = idioms.row_sum(body, body.mul(p, qp))
    error = idioms.row_max(body, body.op("Abs", body.sub(qp, pqp)))
    going_on = body.op("And", going, body.greater_equal(error, 0.005 / classes))
    changed = body.where(going_on, _sweep(body, (q, diagonal), (p, qp, pqp), classes), p)
    some = body.op("ReduceMax", body.cast(going_on, "int64"), keepdims=0)
    body.output("again", body.cast(some, "bool"), ())
    body.output("p_out", changed, ("n", classes))
    body.output("going_out", going_on, ("n", 1))
    body.output("r_out", r, ("n", classes, classes))
    return body.build().graph


def _coefficients(body: Graph, r: Value, classes: int) -> tuple[Value, Value]:
    """Q[t, j] = -r[j, t] r[t, j], and Q[t, t] = sum of r[j, t]²."""
    import numpy as np

    diagonal = body.op("ReduceSum", body.mul(r, r), np.array([2]), keepdims=0)
    across = body.op("Neg", body.mul(r, body.op("Transpose", r, perm=[0, 2, 1])))
    on = body.mul(body.op("Unsqueeze", diagonal, np.array([2])), np.eye(classes))
    return body.add(across, on), diagonal


def _product(body: Graph, q: Value, p: Value) -> Value:
    """Q p, [N, K]."""
    import numpy as np

    column = body.op("Unsqueeze", p, np.array([2]))
    return body.op("Squeeze", body.op("MatMul", q, column), np.array([2]))


def _sweep(
    body: Graph, coefficients: tuple[Value, Value], state: tuple[Value, Value, Value], classes: int
) -> Value:
    """One class after the other is moved, as libsvm does."""
    import numpy as np

    q, diagonal = coefficients
    p, qp, pqp = state
    for t in range(classes):
        own = idioms.take_columns(body, diagonal, [t])
        now = idioms.take_columns(body, qp, [t])
        change = body.div(body.sub(pqp, now), own)
        scale = body.add(1.0, change)
        p = body.add(p, body.mul(change, np.eye(classes)[t : t + 1]))
        grown = body.mul(change, body.add(body.mul(change, own), body.mul(2.0, now)))
        pqp = body.div(body.div(body.add(pqp, grown), scale), scale)
        line = body.op("Squeeze", body.op("Gather", q, np.array([t]), axis=1), np.array([1]))
        qp = body.div(body.add(qp, body.mul(change, line)), scale)
        p = body.div(p, scale)
    return p


EMITTERS = {
    "sklearn.svm.SVC": Classifier,
    "sklearn.svm.NuSVC": Classifier,
    "sklearn.svm.SVR": Regressor,
    "sklearn.svm.NuSVR": Regressor,
    "sklearn.svm.OneClassSVM": OneClass,
}
