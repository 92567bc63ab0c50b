"""MissingIndicator, KNNImputer and IterativeImputer.

Source: sklearn/impute (1.9), nan_euclidean_distances of sklearn/metrics/pairwise.py.

- missing: NaN, or equality with `missing_values`. Columns without any fitted value are dropped, unless
  keep_empty_features (then 0 for KNNImputer, the initial imputation for IterativeImputer). add_indicator
  appends 0/1 columns.
- KNNImputer: distances over the features that both rows have, ``sqrt(F / common * (|x|² - 2xy + |y|² -
  …))``, NaN where none is common; the nearest fitted rows that have the feature; their mean, or the mean
  weighted by 1 / distance (exact matches alone where there are any). No common feature with any of them:
  the feature's mean. Among equally distant rows the source takes any (argpartition): refused where fitted
  rows show that they occur.
- IterativeImputer: the initial imputation, then the fitted estimators in their order, each prediction
  clipped to [min_value, max_value] and rounded to the dtype of X. A batch in which every value is missing
  keeps the initial imputation. sample_posterior draws at random: refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import emit, idioms
from converters.classical.columns import Features, Matrix, columns, floats, join
from converters.classical.emit import Emitter
from converters.classical.facts import Feature
from converters.classical.families.imputing import SimpleImputer
from converters.classical.families.metrics import nan_euclidean
from zoo.records import ColumnDomain

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value

MOST_TRIED = 300
"""Fitted rows for which a KNNImputer is asked whether its donors tie."""


class Imputer(Emitter):
    """What the imputers share: where values are missing, the indicator behind them."""

    def missing(self, value: Value) -> Value:
        """Where `value` is missing, as booleans."""
        return SimpleImputer(self.estimator, self.graph).missing(value)

    def indicated(self, X: Features, imputed: Matrix) -> Features:
        """The imputed columns, and the indicator's behind them."""
        indicator = getattr(self.estimator, "indicator_", None) if self.estimator.add_indicator else None
        if indicator is None or not len(indicator.features_):
            return imputed
        parts = columns(self.graph, X)
        masks = [self.missing(parts[int(i)].value) for i in indicator.features_]
        return join(self.graph, [imputed, Matrix(idioms.concat(self.graph, masks), len(masks))])

    def facts(self) -> list[Feature]:
        marker: Any = self.estimator.missing_values
        number = isinstance(marker, (int, float)) and marker == marker
        domain = ColumnDomain(values=(float(marker),)) if number else ColumnDomain()
        return [Feature(None, domain) for _ in range(self.width)]


class MissingIndicator(Imputer):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        chosen = range(self.width) if self.estimator.features == "all" else self.estimator.features_
        parts = columns(self.graph, X)
        masks = [self.missing(parts[int(i)].value) for i in chosen]
        if not masks:
            return Matrix(idioms.broadcast_rows(self.graph, np.zeros(0, bool)), 0)
        return Matrix(idioms.concat(self.graph, masks), len(masks), self.estimator.sparse is True)


class KNNImputer(Imputer):
    def transform(self, X: Features) -> Features:
        import numpy as np

        self._demand_expressible()
        source, graph = self.estimator, self.graph
        X = floats(graph, X)
        valid = np.asarray(source._valid_mask)
        distances = self._distances(X)
        parts = []
        for index, column in enumerate(columns(graph, X)):
            if valid[index]:
                filled = self._filled(distances, index)
                missing = self.missing(column.value)
                parts.append(graph.where(missing, graph.cast(filled, X.dtype), column.value))
            elif getattr(source, "keep_empty_features", False):
                parts.append(graph.where(self.missing(column.value), 0.0, graph.mul(column.value, 0.0)))
        return self.indicated(X, Matrix(idioms.concat(graph, parts), len(parts)))

    def _demand_expressible(self) -> None:
        if callable(self.estimator.metric) or callable(self.estimator.weights):
            raise self.refuse("its metric or weights are Python code")
        row = self._undecided()
        if row is not None:
            raise self.refuse(
                f"fitted row {row[0]} without its feature {row[1]} has equally far donors of different "
                "values, and which of them numpy.argpartition takes depends on the machine",
                "Use SimpleImputer or IterativeImputer, or more features that tell rows apart.",
            )

    def _undecided(self) -> tuple[int, int] | None:
        """A fitted row and one of its features for which donors tie where the nearest end."""
        import numpy as np
        from sklearn.metrics import nan_euclidean_distances

        source = self.estimator
        fitted, absent = np.asarray(source._fit_X, dtype=np.float64), np.asarray(source._mask_fit_X)
        known = np.where(absent, np.nan, fitted)
        rows = np.unique(np.linspace(0, len(fitted) - 1, min(MOST_TRIED, len(fitted))).astype(int))
        for feature in np.flatnonzero(np.asarray(source._valid_mask)):
            asked, donors = known[rows].copy(), np.flatnonzero(~absent[:, feature])
            asked[:, feature] = np.nan
            count = int(source.n_neighbors)
            if count >= len(donors) or fitted.shape[1] == 1:
                continue
            apart = nan_euclidean_distances(asked, known[donors])
            tied = _tied(apart, fitted[donors, feature], count)
            if tied.any():
                return int(rows[np.argmax(tied)]), int(feature)
        return None

    def _distances(self, X: Matrix) -> Value:
        """To every fitted row: [N, fitted], NaN where no feature is common."""
        import numpy as np

        source, graph = self.estimator, self.graph
        absent = np.asarray(source._mask_fit_X)
        points = np.where(absent, 0.0, source._fit_X).astype(np.float64)
        missing = self.missing(X.value)
        x = graph.where(missing, 0.0, graph.cast(X.value, "float64"))
        return nan_euclidean(graph, (x, missing), (points, absent))

    def _filled(self, distances: Value, index: int) -> Value:
        """What feature `index` is imputed with: [N, 1] float64."""
        import numpy as np

        source, graph = self.estimator, self.graph
        donors = np.flatnonzero(~np.asarray(source._mask_fit_X)[:, index])
        values = np.asarray(source._fit_X[donors, index], dtype=np.float64)
        count = min(int(source.n_neighbors), len(donors))
        apart = idioms.take_columns(graph, distances, donors)
        last = graph.where(idioms.is_nan(graph, apart), float("inf"), apart)
        near, places = graph.ops(
            "TopK", last, np.array([count]), dtypes=("float64", "int64"), axis=1, largest=0, sorted=1
        )
        weights = self._weights(near)
        total = idioms.row_sum(graph, weights)
        none = graph.equal(total, 0)
        summed = idioms.row_sum(graph, graph.mul(idioms.take(graph, values, places), weights))
        mean = graph.div(summed, graph.where(none, 1.0, total))
        return graph.where(none, float(values.mean()), mean)

    def _weights(self, near: Value) -> Value:
        """Of the nearest rows by their distance, infinite where there is none."""
        graph = self.graph
        known = graph.less(near, float("inf"))
        if self.estimator.weights == "uniform":
            return graph.cast(known, "float64")
        exact = graph.equal(near, 0)
        any_exact = idioms.row_max(graph, graph.cast(exact, "float64"))
        inverse = graph.div(1.0, graph.where(exact, 1.0, near))
        return graph.where(graph.greater(any_exact, 0), graph.cast(exact, "float64"), inverse)


def _tied(apart: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Where the last of the nearest and the next are equally far, and such donors differ in value: [N]."""
    import numpy as np

    apart = np.where(np.isnan(apart), np.inf, apart)
    bound = np.partition(apart, count - 1, axis=1)[:, count - 1 : count]
    with np.errstate(invalid="ignore"):
        near = np.abs(apart - bound) <= 1e-12 * np.maximum(bound, 1e-300)
    crowded = ((apart < bound) | near).sum(axis=1) > count
    lowest = np.where(near, values, np.inf).min(axis=1)
    highest = np.where(near, values, -np.inf).max(axis=1)
    tied: np.ndarray = crowded & np.isfinite(bound[:, 0]) & (lowest < highest)
    return tied


class IterativeImputer(Imputer):
    def transform(self, X: Features) -> Features:
        import numpy as np

        source, graph = self.estimator, self.graph
        if source.sample_posterior:
            raise self.refuse("sample_posterior draws at random", "Fit it with sample_posterior=False.")
        X = floats(graph, X)
        start = emit.transform(graph, source.initial_imputer_, X, "initial_imputer_")
        initial = [column.value for column in columns(graph, start)]
        if source.n_iter_ == 0:
            return self.indicated(X, Matrix(idioms.concat(graph, initial), len(initial)))
        kept = self._kept(X.width)
        parts = columns(graph, X)
        missing = [self.missing(parts[i].value) for i in kept]
        if getattr(source, "keep_empty_features", False):
            missing = [self._never(m) if source._is_empty_feature[i] else m for i, m in zip(kept, missing)]
        filled = self._rounds(list(initial), missing, X.dtype)
        result = idioms.concat(graph, filled)
        none_known = graph.op(
            "ReduceMin", graph.cast(idioms.concat(graph, missing), "int64"), np.array([0, 1]), keepdims=1
        )
        result = graph.where(graph.cast(none_known, "bool"), idioms.concat(graph, initial), result)
        return self.indicated(X, Matrix(result, len(filled)))

    def _kept(self, width: int) -> list[int]:
        if getattr(self.estimator, "keep_empty_features", False):
            return list(range(width))
        return [i for i in range(width) if not self.estimator._is_empty_feature[i]]

    def _never(self, mask: Value) -> Value:
        return self.graph.op("And", mask, self.graph.constant(False))

    def _rounds(self, filled: list[Value], missing: list[Value], dtype: str) -> list[Value]:
        import numpy as np

        source, graph = self.estimator, self.graph
        for turn, (feature, neighbours, estimator) in enumerate(source.imputation_sequence_):
            known = Matrix(idioms.concat(graph, [filled[int(i)] for i in neighbours]), len(neighbours))
            found = emit.emit(graph, estimator, "predict", known, f"imputation_sequence_[{turn}]")
            low, high = float(source._min_value[feature]), float(source._max_value[feature])
            clipped = idioms.clip(graph, graph.op("Reshape", found, np.array([-1, 1])), low, high)
            value = graph.where(missing[feature], graph.cast(clipped, dtype), filled[feature])
            filled[int(feature)] = value
        return filled


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.impute.MissingIndicator": MissingIndicator,
    "sklearn.impute.KNNImputer": KNNImputer,
    "sklearn.impute.IterativeImputer": IterativeImputer,
}
