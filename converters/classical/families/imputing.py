"""SimpleImputer.

Source: sklearn/impute/_base.py (1.9).

- dtype: mean and median compute in float64, or float32 where X is float32; most_frequent and
  constant keep X's dtype; an imputer fitted on objects keeps a table of mixed values.
- missing: NaN (``missing_values=nan``), or equality with `missing_values`. In the graph a missing
  text is the empty string.
- a column without any observed value is dropped, unless keep_empty_features.
- add_indicator appends one 0/1 column for each feature of ``indicator_.features_``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from converters.classical import idioms
from converters.classical.columns import Column, Features, Matrix, Table, columns, floats, join, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, merge
from converters.classical.releases import fitted_dtype
from zoo.records import ColumnDomain

if TYPE_CHECKING:
    from converters.classical.graph import Value


class SimpleImputer(Emitter):
    def transform(self, X: Features) -> Features:
        imputed = self._table(X) if self._objects else self._matrix(X)
        return imputed if not self.estimator.add_indicator else self._with_indicator(X, imputed)

    @property
    def _objects(self) -> bool:
        return bool(fitted_dtype(self.estimator).kind == "O")

    def kept(self) -> list[int]:
        """The features that are not dropped for having no observed value."""
        statistics = self.estimator.statistics_
        if getattr(self.estimator, "keep_empty_features", False):
            return list(range(len(statistics)))
        return [i for i, item in enumerate(statistics) if item == item]

    def _matrix(self, X: Features) -> Matrix:
        import numpy as np

        whole = (
            floats(self.graph, X) if self.estimator.strategy in ("mean", "median") else numeric(self.graph, X)
        )
        kept = self.kept()
        statistics = np.asarray(self.estimator.statistics_[kept], dtype=fitted_dtype(self.estimator))
        value = (
            whole.value if len(kept) == whole.width else idioms.take_columns(self.graph, whole.value, kept)
        )
        filled = statistics.astype(whole.dtype).reshape(1, -1)
        full = self.graph.where(self.missing(value), filled, value)
        if self.estimator.strategy in ("mean", "median"):
            self.graph.typical[full.name] = filled[0]
        return Matrix(full, len(kept), whole.sparse)

    def _table(self, X: Features) -> Table:
        import numpy as np

        parts = columns(self.graph, X)
        filled = []
        for index in self.kept():
            value, statistic = parts[index].value, self.estimator.statistics_[index]
            if isinstance(statistic, str) != (value.dtype == "string"):
                raise self.refuse(
                    f"feature {index} is {value.dtype}, but {statistic!r} would be imputed into it"
                )
            dtype = None if value.dtype == "string" else value.dtype
            fill = self.graph.constant(np.array([[statistic]]), dtype)
            filled.append(Column(self.graph.where(self.missing(value), fill, value), parts[index].name))
        return Table(tuple(filled))

    def missing(self, value: Value) -> Value:
        """Where `value` is missing, as booleans."""
        marker: Any = self.estimator.missing_values
        unset = marker is None or marker != marker or type(marker).__name__ == "NAType"
        if value.dtype == "string":
            text = "" if unset else str(marker)
            return self.graph.op("Equal", value, self.graph.constant(text))
        return idioms.is_nan(self.graph, value) if unset else self.graph.equal(value, marker)

    def _with_indicator(self, X: Features, imputed: Features) -> Features:
        indices = [int(i) for i in self.estimator.indicator_.features_]
        if not indices:
            return imputed
        parts = columns(self.graph, X)
        masks = [self.missing(parts[index].value) for index in indices]
        flags = Matrix(idioms.concat(self.graph, masks), len(masks))
        return join(self.graph, [imputed, flags])

    def facts(self) -> list[Feature]:
        return [self._fact(item) for item in self.estimator.statistics_]

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        behind = dict(zip(self.kept(), after))
        known = self.facts()
        return [merge([fact, behind[i]]) if i in behind else fact for i, fact in enumerate(known)]

    def _fact(self, statistic: Any) -> Feature:
        marker = self.estimator.missing_values
        if isinstance(statistic, str):
            return Feature("string", ColumnDomain(categories=(statistic,)), _missing_text(marker))
        dtype = {"i": "int64", "u": "int64"}.get(fitted_dtype(self.estimator).kind)
        numbers = [x for x in (statistic, marker) if isinstance(x, (int, float)) and x == x]
        return Feature(dtype, ColumnDomain(values=tuple(map(float, numbers))))


def _missing_text(marker: Any) -> str | None:
    if marker is None or type(marker).__name__ == "NAType":
        return "none"
    return "nan" if marker != marker else None


EMITTERS = {"sklearn.impute.SimpleImputer": SimpleImputer}
