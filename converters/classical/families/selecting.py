"""Feature selectors: columns are kept or dropped, as fit decided.

Source: sklearn/feature_selection/_base.py, _rfe.py, _from_model.py (1.9).

- transform: the columns of get_support(), in their order, in the dtype of X (a frame's columns joined first).
- RFE and RFECV also answer with their estimator_, over the kept columns.
- nothing selected: rows of no features.
"""

from __future__ import annotations

from typing import Any, Sequence

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, Table, numeric, select
from converters.classical.emit import Emitter, emit, emitter, offers
from converters.classical.facts import Feature


class Selector(Emitter):
    @property
    def kept(self) -> list[int]:
        """The features that stay."""
        try:
            return [int(i) for i in self.estimator.get_support(indices=True)]
        except (TypeError, ValueError) as error:
            raise self.refuse(
                f"scikit-learn cannot tell the features it keeps: {error}", "Fit it with a param of its mode."
            ) from error

    def transform(self, X: Features) -> Features:
        import numpy as np

        if not self.kept:
            nothing = np.zeros(0, dtype=numeric(self.graph, X).dtype)
            return Matrix(idioms.broadcast_rows(self.graph, nothing), 0)
        mixed = isinstance(X, Table) and any(column.value.dtype == "string" for column in X.columns)
        return select(self.graph, X if mixed else numeric(self.graph, X), self.kept)

    def facts(self) -> list[Feature]:
        return self.facts_before([])

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        behind = dict(zip(self.kept, after))
        return [behind.get(index, Feature()) for index in range(self.width)]


class Eliminating(Selector):
    """RFE and RFECV: a selector with an estimator behind it."""

    def offers(self, capability: str) -> bool:
        if capability == "transform":
            return True
        return hasattr(self.estimator, capability) and offers(
            self.graph, self.estimator.estimator_, capability
        )

    def _answer(self, capability: str, X: Features) -> Any:
        return emit(self.graph, self.estimator.estimator_, capability, self.transform(X), "estimator_")

    def predict(self, X: Features) -> Any:
        return self._answer("predict", X)

    def predict_proba(self, X: Features) -> Any:
        return self._answer("predict_proba", X)

    def predict_log_proba(self, X: Features) -> Any:
        return self._answer("predict_log_proba", X)

    def decision_function(self, X: Features) -> Any:
        return self._answer("decision_function", X)

    def facts(self) -> list[Feature]:
        return self.facts_before(emitter(self.estimator.estimator_, self.graph, "estimator_").facts())


EMITTERS = {
    **{
        f"sklearn.feature_selection.{name}": Selector
        for name in (
            "GenericUnivariateSelect",
            "SelectFdr",
            "SelectFpr",
            "SelectFromModel",
            "SelectFwe",
            "SelectKBest",
            "SelectPercentile",
            "SequentialFeatureSelector",
            "VarianceThreshold",
        )
    },
    "sklearn.feature_selection.RFE": Eliminating,
    "sklearn.feature_selection.RFECV": Eliminating,
}
