"""DummyClassifier and DummyRegressor.

Source: sklearn/dummy.py (1.9). The answer is a constant row: the most frequent class (the first of
equals), the given constant, the fitted prior, mean, median or quantile. "stratified" and "uniform" draw
labels at random, and so are refused; the features are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features
from converters.classical.emit import Emitter
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np


class Dummy(Emitter):
    @property
    def width(self) -> int:
        return int(getattr(self.estimator, "n_features_in_", 1))


class DummyClassifier(Dummy):
    def predict(self, X: Features) -> Value:
        import numpy as np

        source, chosen = self.estimator, []
        if source._strategy in ("stratified", "uniform"):
            raise self.refuse(f"strategy={source._strategy!r} draws labels at random")
        for labels, prior, constant in self._outputs():
            if source._strategy == "constant":
                index = int(np.flatnonzero(labels == constant)[0])
            else:
                index = int(np.argmax(prior))
            row = idioms.broadcast_rows(self.graph, np.array(index))
            chosen.append(idioms.classes(self.graph, labels, row))
        return chosen[0] if source.n_outputs_ == 1 else idioms.stack(self.graph, chosen)

    def predict_proba(self, X: Features) -> Any:
        import numpy as np

        source, shares = self.estimator, []
        if source._strategy == "stratified":
            raise self.refuse("strategy='stratified' draws labels at random")
        for labels, prior, constant in self._outputs():
            row = np.zeros(len(labels))
            if source._strategy == "most_frequent":
                row[np.argmax(prior)] = 1.0
            elif source._strategy == "constant":
                row[labels == constant] = 1.0
            else:
                row = np.asarray(prior) if source._strategy == "prior" else row + 1 / len(labels)
            shares.append(idioms.broadcast_rows(self.graph, row.astype(np.float64)))
        return shares[0] if source.n_outputs_ == 1 else shares

    def _outputs(self) -> list[tuple[np.ndarray, Any, Any]]:
        """Classes, prior and constant of each output."""
        import numpy as np

        source = self.estimator
        if source.n_outputs_ == 1:
            constant = None if source.constant is None else np.ravel(np.asarray(source.constant))[0]
            return [(np.asarray(source.classes_), source.class_prior_, constant)]
        constants = (
            [None] * source.n_outputs_ if source.constant is None else np.ravel(source.constant).tolist()
        )
        return [(np.asarray(c), p, k) for c, p, k in zip(source.classes_, source.class_prior_, constants)]


class DummyRegressor(Dummy):
    def predict(self, X: Features) -> Value:
        import numpy as np

        constant = np.asarray(self.estimator.constant_).reshape(-1)
        constant = constant.astype(np.int64) if constant.dtype.kind in "iu" else constant
        if self.estimator.n_outputs_ == 1:
            constant = constant[0]
        return idioms.broadcast_rows(self.graph, constant)


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.dummy.DummyClassifier": DummyClassifier,
    "sklearn.dummy.DummyRegressor": DummyRegressor,
}
