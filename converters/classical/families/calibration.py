"""CalibratedClassifierCV.

Source: sklearn/calibration.py (1.9).

- each fold's estimator gives its decision where it has one, else probabilities (of two classes: the
  second). sigmoid: ``expit(-(a s + b))``; isotonic: interpolation between the fitted steps, clipped to
  their range; temperature: softmax of beta times the logits (decisions, or logs of probabilities).
- two classes: ``[1 - p, p]``; more: divided by their sum, 1 / classes where that is 0.
- what is above 1 by less than 1e-5 is 1; folds are added in their order and divided by their number.
- label: argmax of the probabilities, the first of equals.
"""

from __future__ import annotations

from typing import Any

from converters.classical import idioms
from converters.classical.columns import Features
from converters.classical.emit import Emitter, emit, responding
from converters.classical.families.isotonic import Isotonic
from converters.classical.families.trees import added
from converters.classical.families.voting import Members, stacked
from converters.classical.graph import Value
from converters.classical.releases import calibrated


class Calibrated(Members):
    @property
    def members(self) -> list[Any]:
        return [calibrated(fold) for fold in self.estimator.calibrated_classifiers_]

    def name(self, index: int) -> str:
        return f"calibrated_classifiers_[{index}]"

    def predict_proba(self, X: Features) -> Value:
        folds = self.estimator.calibrated_classifiers_
        shares = [self.graph.cast(self._fold(i, fold, X), "float64") for i, fold in enumerate(folds)]
        total = added(self.graph, stacked(self, shares), len(shares))
        return self.graph.div(total, float(len(shares)))

    def predict(self, X: Features) -> Value:
        graph = self.graph
        return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, self.predict_proba(X)))

    def _fold(self, index: int, fold: Any, X: Features) -> Value:
        graph = self.graph
        method = responding(graph, calibrated(fold), ["decision_function", "predict_proba"])
        scores = emit(graph, calibrated(fold), method, X, self.name(index))
        if fold.method == "temperature":
            p = self._tempered(fold, scores, method)
        else:
            p = self._curves(fold, scores, method)
        above = graph.op("And", graph.greater(p, 1.0), graph.less_equal(p, 1.0 + 1e-05))
        return graph.where(above, 1.0, p)

    def _curves(self, fold: Any, scores: Value, method: str) -> Value:
        """One curve for each class, or for the second of two."""
        import numpy as np

        graph, count = self.graph, len(fold.classes)
        seen = np.searchsorted(fold.classes, calibrated(fold).classes_).tolist()
        if count == 2:
            one = idioms.column(graph, scores, 1) if method == "predict_proba" else scores
            p = idioms.upright(graph, self._curve(fold.calibrators[0], one))
            return idioms.two_columns(graph, p)
        if len(seen) == 2:
            raise self.refuse("a fold that saw two of several classes has no converter")
        parts = [graph.cast(idioms.broadcast_rows(graph, np.array(0.0)), "float64")] * count
        for column, (place, curve) in enumerate(zip(seen, fold.calibrators)):
            parts[place] = self._curve(curve, idioms.column(graph, scores, column))
        p = idioms.stack(graph, parts)
        total = idioms.row_sum(graph, p)
        none = graph.equal(total, 0)
        return graph.where(none, 1.0 / count, graph.div(p, graph.where(none, 1.0, total)))

    def _curve(self, curve: Any, scores: Value) -> Value:
        import numpy as np

        graph = self.graph
        if type(curve).__name__ == "IsotonicRegression":
            places = np.asarray(curve.X_thresholds_)
            rounded = graph.cast(scores, str(places.dtype))
            return graph.cast(
                graph.cast(Isotonic(curve, graph).values(rounded), str(places.dtype)), "float64"
            )
        exponent = graph.op("Neg", graph.add(graph.mul(scores, np.asarray(curve.a_)), np.asarray(curve.b_)))
        return graph.cast(idioms.expit(graph, exponent), "float64")

    def _tempered(self, fold: Any, scores: Value, method: str) -> Value:
        """The logits of probabilities are their logs with 1e-12 added."""
        import numpy as np

        graph = self.graph
        if method == "predict_proba":
            logits = graph.op("Log", graph.add(scores, 1e-12))
        elif len(fold.classes) == 2:
            column = idioms.upright(graph, scores)
            logits = idioms.concat(graph, [graph.op("Neg", column), column])
        else:
            logits = scores
        return idioms.softmax(graph, graph.mul(logits, np.asarray(fold.calibrators[0].beta_)))


EMITTERS: dict[str, type[Emitter]] = {"sklearn.calibration.CalibratedClassifierCV": Calibrated}
