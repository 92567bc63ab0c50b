"""Nearest neighbours, neighbours within a radius, local outliers.

Source: sklearn/neighbors/ (1.9).

- dtype: distances in float64, whatever X is; by differences in trees, expanded in brute force.
- neighbours: the k smallest ranks (squares for euclidean, powers for minkowski); of equals: see `searching`.
- weights "distance": 1 / distance, or 1 where that is infinite and 0 for all others.
- classifier: weights added neighbour after neighbour; label: the first class of the largest sum;
  probability: the sums divided by their sum.
- regressor: mean, or weighted mean, of the neighbours' targets.
- radius: rank(distance) <= rank(radius). Rows without neighbours: the outlier label (probability 1 if
  it is a class, else 0 everywhere), NaN for regressors; the source raises without an outlier label.
  Here weights "distance" are 1 and 0 only beside a distance of 0; below 5.6e-309 they are infinite, and
  what is divided by their sum is NaN, the first of which is the label.
- LocalOutlierFactor(novelty=True): minus the mean ratio of densities; -1 below the offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.families import searching
from converters.classical.families.distances import Metric, by_dot, distances, expanded, ranks
from converters.classical.families.linear import dense
from converters.classical.families.metrics import FLAGS, PARTITIONED
from converters.classical.families.trees import added
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np


class Neighbours(Emitter):
    """Ranks of all fitted rows."""

    def facts(self) -> list[Feature]:
        return [jumps(column) for column in self.points.T]

    @property
    def points(self) -> np.ndarray:
        """The fitted rows, [S, F]."""
        return dense(self.estimator._fit_X)

    @property
    def metric(self) -> Metric:
        name = self.estimator.effective_metric_
        if callable(name):
            raise self.refuse("its metric is Python code")
        return Metric(str(name), dict(self.estimator.effective_metric_params_ or {}))

    def ranks(self, X: Features) -> Value:
        """[N, S] float64."""
        matrix = numeric(self.graph, X)
        if self.estimator.effective_metric_ == "precomputed":
            if matrix.sparse or hasattr(self.estimator._fit_X, "toarray"):
                raise self.refuse(
                    "precomputed distances in a sparse matrix: what it leaves out is not 0",
                    "Search by the classifier's or regressor's own metric instead of a transformer's graph.",
                )
            return self.graph.cast(matrix.value, "float64")
        brute = self.estimator._fit_method == "brute"
        if brute and self.metric.name in ("euclidean", "l2", "sqeuclidean"):
            points = self.points.astype("float64")
            return expanded(
                self.graph, self.graph.cast(matrix.value, "float64"), points, norms=by_dot(points)
            )
        single = brute and matrix.dtype == "float32" and self.points.dtype == "float32"
        return ranks(self.graph, matrix.value, self.points, self.metric, single)

    def neighbours(self, X: Features, count: int, turn: bool = False) -> tuple[Value, Value]:
        """Ranks and rows of the `count` nearest, ascending: [N, count] each; `turn` as in nearest_rows."""
        matrix = numeric(self.graph, X)
        order = self._order(matrix) if count < len(self.points) else searching.in_sequence(self.graph, count)
        return searching.nearest_rows(self.graph, self.ranks(X), order, count, turn)

    def _order(self, X: Matrix) -> searching.Order:
        """The order in which the source visits fitted rows; refused where nobody knows it and it matters."""
        source, graph = self.estimator, self.graph
        if source._fit_method != "brute":
            return searching.in_tree(graph, X.value, source._tree, self.metric)
        if source.effective_metric_ != "precomputed":
            self._demand_decidable(X)
        return searching.in_sequence(graph, len(self.points))

    def _demand_decidable(self, X: Matrix) -> None:
        """Refuse where numpy.argpartition chooses among equally far rows that differ in what they say."""
        fitted = self.estimator._fit_X
        same = not hasattr(fitted, "toarray") and str(fitted.dtype) == X.dtype
        name = self.metric.name
        if same and X.dtype.startswith("float") and name not in PARTITIONED:
            return
        reason = "which of equally far rows numpy.argpartition takes depends on the machine"
        way_out = "Make its rows dense (sparse_output=False, encode='onehot-dense')."
        if name == "cosine" or not hasattr(fitted, "toarray"):
            way_out = (
                "Fit it on one float dtype, with a tree ('kd_tree', 'ball_tree') or a metric other than "
            )
            way_out += f"{name}."
        if fitted.dtype.kind != "f":
            raise self.refuse(f"brute force over {fitted.dtype}: {reason}", way_out)
        if name in (*FLAGS, "hamming"):
            raise self.refuse(f"{name} by brute force: {reason}", way_out)
        count = int(getattr(self.estimator, "n_neighbors_", None) or self.estimator.n_neighbors)
        if name == "cosine":
            pair = searching.parallel(self.points, self.said, fitted.dtype)
        else:
            pair = searching.undecided(self.points, self.said)
        if name in ("cosine", "euclidean", "l2", "sqeuclidean"):
            pair = pair or searching.crowded(self.points, self.said, count, name)
        if pair is not None:
            raise self.refuse(
                f"fitted rows {pair[0]} and {pair[1]} differ in their target only, "
                f"or are equally far from another: {reason}",
                way_out,
            )

    @property
    def said(self) -> np.ndarray:
        """What a fitted row contributes as a neighbour: [S, K]."""
        import numpy as np

        return np.arange(len(self.points))[:, None]

    def inverse(self, distance: Value) -> Value:
        """Weights of distances [N, K]: 1 / distance, or 1 where `there` and 0 for the others of the row."""
        graph = self.graph
        if callable(self.estimator.weights):
            raise self.refuse("its weights are Python code")
        inverse = graph.div(1.0, distance)
        there = self.there(distance, inverse)
        on_it = idioms.row_max(graph, graph.cast(there, "int64"))
        return graph.where(graph.greater(on_it, 0), graph.cast(there, "float64"), inverse)

    def there(self, distance: Value, inverse: Value) -> Value:
        """Which fitted rows count as the row itself: bool, [N, K]."""
        return self.graph.op("IsInf", inverse)


class Nearest(Neighbours):
    """The k nearest."""

    @property
    def said(self) -> np.ndarray:
        import numpy as np

        return np.asarray(self.estimator._y).reshape(len(self.points), -1)

    def chosen(self, X: Features) -> tuple[Value, Value | None]:
        """Rows [N, k] and weights [N, k], None for equal ones."""
        rank, rows = self.neighbours(X, int(self.estimator.n_neighbors))
        if self.estimator.weights in (None, "uniform"):
            return rows, None
        return rows, self.inverse(distances(self.graph, rank, self.metric))

    def by_neighbour(self, X: Features, table: np.ndarray) -> tuple[Value, Value | None]:
        """table[rows] and weights, neighbours on the first axis: [k, N, T] and [k, N, 1]."""
        import numpy as np

        graph = self.graph
        rows, weights = self.chosen(X)
        values = idioms.take(graph, table, graph.op("Transpose", rows, perm=[1, 0]))
        if weights is None:
            return values, None
        return values, graph.op("Unsqueeze", graph.op("Transpose", weights, perm=[1, 0]), np.array([2]))


class KNeighborsClassifier(Nearest):
    def sums(self, X: Features) -> list[Value]:
        """One [N, classes] for each output."""
        count = int(self.estimator.n_neighbors)
        result = []
        for codes, labels in coded(self.estimator):
            values, weights = self.by_neighbour(X, one_hot_table(codes, len(labels)))
            weighted = values if weights is None else self.graph.mul(values, weights)
            result.append(added(self.graph, weighted, count))
        return result

    def predict(self, X: Features) -> Value:
        return labelled(self, self.sums(X))

    def predict_proba(self, X: Features) -> Any:
        shares = [self.graph.div(one, idioms.row_sum(self.graph, one)) for one in self.sums(X)]
        return shares if self.estimator.outputs_2d_ else shares[0]


class KNeighborsRegressor(Nearest):
    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, targets = self.graph, np.asarray(self.estimator._y)
        vector = targets.ndim == 1
        table = targets.reshape(len(targets), -1)
        values, weights = self.by_neighbour(X, table if table.dtype.kind == "f" else table.astype(np.float64))
        if weights is None:
            result = graph.op("ReduceMean", values, np.array([0]), keepdims=0)
        else:
            weighted = graph.op("ReduceSum", graph.mul(values, weights), np.array([0]), keepdims=0)
            result = graph.div(weighted, graph.op("ReduceSum", weights, np.array([0]), keepdims=0))
        return idioms.flat(graph, result) if vector else result


class KNeighborsTransformer(Neighbours):
    def transform(self, X: Features) -> Matrix:
        graph, source = self.graph, self.estimator
        by_distance = source.mode == "distance"
        rank, rows = self.neighbours(X, int(source.n_neighbors) + by_distance)
        value = distances(graph, rank, self.metric)
        value = value if by_distance else graph.add(graph.mul(value, 0.0), 1.0)
        empty = idioms.broadcast_rows(graph, dense([0.0] * len(self.points)))
        return Matrix(graph.op("ScatterElements", empty, rows, value, axis=1), len(self.points), True)


class Within(Neighbours):
    """All within the radius."""

    def among(self, X: Features) -> tuple[Value, Value]:
        """Ranks and whether they are within: [N, S] each."""
        if self.estimator.radius is None:
            raise self.refuse("it has no radius", "Fit it with a radius.")
        rank = self.ranks(X)
        return rank, self.graph.less_equal(rank, self.metric.rank_of(float(self.estimator.radius)))

    def weighted(self, X: Features) -> Value:
        """Weights of all fitted rows, 0 beyond the radius: [N, S] float64."""
        graph = self.graph
        rank, among = self.among(X)
        if self.estimator.weights in (None, "uniform"):
            return graph.cast(among, "float64")
        weights = self.inverse(graph.where(among, distances(graph, rank, self.metric), 1.0))
        return graph.where(among, weights, 0.0)

    def there(self, distance: Value, inverse: Value) -> Value:
        return self.graph.equal(distance, 0.0)


class RadiusNeighborsClassifier(Within):
    def shares(self, X: Features) -> list[Value]:
        """[N, classes] for each output."""
        graph, weights, result = self.graph, self.weighted(X), []
        for output, (codes, labels) in enumerate(coded(self.estimator)):
            sums = self._sums(weights, one_hot_table(codes, len(labels)))
            total = idioms.row_sum(graph, sums)
            none = graph.equal(total, 0)
            lonely = self._lonely(output, labels)
            result.append(graph.where(none, lonely, graph.div(sums, graph.where(none, 1.0, total))))
        return result

    def _sums(self, weights: Value, table: np.ndarray) -> Value:
        """Weights [N, S] added up by class: [N, classes], zeros without neighbours."""
        graph = self.graph
        if self.estimator.weights in (None, "uniform"):
            return graph.matmul(weights, table)
        # An infinite weight is its own class's only: in a product it would meet the zeros of the others.
        endless = graph.op("IsInf", weights)
        sums = graph.matmul(graph.where(endless, 0.0, weights), table)
        beyond = graph.greater(graph.matmul(graph.cast(endless, "float64"), table), 0)
        return graph.where(beyond, float("inf"), sums)

    def _lonely(self, output: int, labels: np.ndarray) -> np.ndarray:
        """The probabilities of a row without neighbours, [1, classes]."""
        import numpy as np

        label = self.estimator.outlier_label_
        label = None if label is None else label[output]
        return np.array([[float(label is not None and item == label) for item in labels.tolist()]])

    def predict(self, X: Features) -> Value:
        graph, shares = self.graph, self.shares(X)
        label = self.estimator.outlier_label_
        chosen = []
        for output, (share, (_, labels)) in enumerate(zip(shares, coded(self.estimator))):
            if self.estimator.weights == "distance":
                share = graph.where(graph.op("IsNaN", share), 2.0, share)
            found = idioms.classes(graph, labels, idioms.argmax(graph, share))
            if label is not None:
                none = graph.equal(idioms.row_max(graph, share, keepdims=False), 0)
                other = graph.constant(label[output], None if found.dtype == "string" else found.dtype)
                found = graph.where(none, other, found)
            chosen.append(found)
        return idioms.stack(graph, chosen) if self.estimator.outputs_2d_ else chosen[0]

    def predict_proba(self, X: Features) -> Any:
        source = self.estimator
        if source._fit_method == "brute" and source.outlier_label is not None and not source.outputs_2d_:
            raise self.refuse(
                "brute search with an outlier label: scikit-learn takes the label for a position"
            )
        shares = self.shares(X)
        return shares if source.outputs_2d_ else shares[0]


class RadiusNeighborsRegressor(Within):
    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, targets = self.graph, np.asarray(self.estimator._y)
        weights = self.weighted(X)
        if targets.dtype.kind != "f":
            raise self.refuse("targets of whole numbers: rows without neighbours have no NaN to be")
        sums = graph.matmul(weights, targets.reshape(len(targets), -1).astype(np.float64))
        result = graph.div(sums, idioms.row_sum(graph, weights))
        return idioms.flat(graph, result) if targets.ndim == 1 else result


class RadiusNeighborsTransformer(Within):
    def transform(self, X: Features) -> Matrix:
        graph = self.graph
        rank, among = self.among(X)
        if self.estimator.mode != "distance":
            return Matrix(graph.cast(among, "float64"), len(self.points), True)
        value = graph.where(among, distances(graph, rank, self.metric), 0.0)
        return Matrix(value, len(self.points), True)


class LocalOutlierFactor(Neighbours):
    @property
    def said(self) -> np.ndarray:
        import numpy as np

        return np.stack([self.estimator._lrd, self._distances()], axis=1)

    def _distances(self) -> np.ndarray:
        """From each fitted row to the last of its neighbours."""
        import numpy as np

        return np.asarray(self.estimator._distances_fit_X_)[:, int(self.estimator.n_neighbors_) - 1]

    def score_samples(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        rank, rows = self.neighbours(X, int(source.n_neighbors_))
        distance = distances(graph, rank, self.metric)
        if numeric(graph, X).dtype == "float32":
            distance = graph.cast(distance, "float32")
        reach = graph.maximum(distance, idioms.take(graph, self._distances(), rows))
        count = float(source.n_neighbors_)
        mean = graph.div(idioms.row_sum(graph, reach), count)
        density = graph.div(1.0, graph.add(mean, 1e-10))
        ratios = graph.div(idioms.take(graph, np.asarray(source._lrd), rows), density)
        return graph.op("Neg", graph.div(idioms.row_sum(graph, ratios, keepdims=False), count))

    def decision_function(self, X: Features) -> Value:
        return self.graph.sub(self.score_samples(X), float(self.estimator.offset_))

    def predict(self, X: Features) -> Value:
        outlier = self.graph.less(self.decision_function(X), 0)
        return self.graph.where(outlier, self.graph.constant(-1, "int64"), 1)


class Components(Emitter):
    """NeighborhoodComponentsAnalysis: ``X @ components_.T``."""

    def transform(self, X: Features) -> Matrix:
        components = dense(self.estimator.components_)
        value = self.graph.matmul(numeric(self.graph, X).value, components.T)
        return Matrix(value, len(components))


def coded(source: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each output: the fitted rows' class numbers, and the classes."""
    import numpy as np

    codes = np.asarray(source._y)
    if source.outputs_2d_:
        return [(codes[:, k], np.asarray(labels)) for k, labels in enumerate(source.classes_)]
    return [(codes.reshape(-1), np.asarray(source.classes_))]


def one_hot_table(codes: np.ndarray, count: int) -> np.ndarray:
    """[S, count] float64."""
    import numpy as np

    table: np.ndarray = np.eye(count)[codes]
    return table


def labelled(writer: Emitter, sums: list[Value]) -> Value:
    """The class of the largest sum for each output."""
    graph, source = writer.graph, writer.estimator
    chosen = [
        idioms.classes(graph, labels, idioms.argmax(graph, one))
        for one, (_, labels) in zip(sums, coded(source))
    ]
    return idioms.stack(graph, chosen) if source.outputs_2d_ else chosen[0]


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.neighbors.KNeighborsClassifier": KNeighborsClassifier,
    "sklearn.neighbors.KNeighborsRegressor": KNeighborsRegressor,
    "sklearn.neighbors.KNeighborsTransformer": KNeighborsTransformer,
    "sklearn.neighbors.RadiusNeighborsClassifier": RadiusNeighborsClassifier,
    "sklearn.neighbors.RadiusNeighborsRegressor": RadiusNeighborsRegressor,
    "sklearn.neighbors.RadiusNeighborsTransformer": RadiusNeighborsTransformer,
    "sklearn.neighbors.LocalOutlierFactor": LocalOutlierFactor,
    "sklearn.neighbors.NeighborhoodComponentsAnalysis": Components,
}
