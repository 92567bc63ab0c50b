"""Estimators that only pass on: searches, frozen and self-trained estimators, thresholds, transformed
targets.

Source: sklearn/model_selection/{_search,_search_successive_halving,_classification_threshold}.py,
sklearn/frozen, sklearn/semi_supervised/_self_training.py, sklearn/compose/_target.py (1.9).

- searches answer as `best_estimator_`, FrozenEstimator as `estimator`, SelfTrainingClassifier as
  `estimator_`.
- thresholds: the score of `pos_label` (probability, or decision, negative for the first class) is at or
  above the threshold ("auto": 0.5 or 0) for that label, else the other; probabilities are the estimator's
  own.
- TransformedTargetRegressor: the regressor's answer, back through the inverse of `transformer_`; one
  column is flat where the target was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features
from converters.classical.emit import CAPABILITIES, Emitter, emit, emitter, responding
from converters.classical.facts import Feature
from converters.classical.families.inverses import inverse_of
from converters.classical.graph import Value

if TYPE_CHECKING:
    from converters.classical.graph import Graph


class Delegate(Emitter):
    """Answers as another estimator does, for what both the source and that one can say."""

    attribute = "estimator_"

    @property
    def inner(self) -> Any:
        return getattr(self.estimator, self.attribute)

    @property
    def writer(self) -> Emitter:
        return emitter(self.inner, self.graph, self.attribute)

    @property
    def width(self) -> int:
        return self.writer.width

    @property
    def reads_texts(self) -> bool:
        return self.writer.reads_texts

    @property
    def keys(self) -> tuple[str, ...]:
        return self.writer.keys

    def offers(self, capability: str) -> bool:
        return capability in CAPABILITIES and self.writer.offers(capability)

    def answer(self, capability: str, X: Features) -> Any:
        return emit(self.graph, self.inner, capability, X, self.attribute)

    def transform(self, X: Features) -> Any:
        return self.answer("transform", X)

    def predict(self, X: Features) -> Any:
        return self.answer("predict", X)

    def predict_proba(self, X: Features) -> Any:
        return self.answer("predict_proba", X)

    def predict_log_proba(self, X: Features) -> Any:
        return self.answer("predict_log_proba", X)

    def decision_function(self, X: Features) -> Any:
        return self.answer("decision_function", X)

    def score_samples(self, X: Features) -> Any:
        return self.answer("score_samples", X)

    def facts(self) -> list[Feature]:
        return self.writer.facts()

    def facts_before(self, after: Any) -> list[Feature]:
        return self.writer.facts_before(after)


class Search(Delegate):
    attribute = "best_estimator_"

    @property
    def inner(self) -> Any:
        if not hasattr(self.estimator, "best_estimator_"):
            raise self.refuse("it has no best_estimator_", "Fit it with refit=True.")
        return self.estimator.best_estimator_


class Frozen(Delegate):
    attribute = "estimator"


class Threshold(Delegate):
    """FixedThresholdClassifier and TunedThresholdClassifierCV."""

    @property
    def inner(self) -> Any:
        return getattr(self.estimator, "estimator_", self.estimator.estimator)

    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        methods = source._get_response_method()
        methods = ["predict_proba", "decision_function"] if methods == "auto" else methods
        method = responding(graph, self.inner, [methods] if isinstance(methods, str) else methods)
        label = self._positive()
        scores = positive_scores(graph, self.inner, method, X, label)
        classes = np.asarray(source.classes_)
        places = [0, 1]
        if label is not None:
            places = [int(np.flatnonzero(classes != label)[0]), int(np.flatnonzero(classes == label)[0])]
        above = graph.cast(graph.greater_equal(scores, self._limit(method)), "int64")
        return idioms.classes(graph, classes[places], above)

    def _positive(self) -> Any:
        tuned = hasattr(self.estimator, "_curve_scorer")
        return self.estimator._curve_scorer._get_pos_label() if tuned else self.estimator.pos_label

    def _limit(self, method: str) -> float:
        if hasattr(self.estimator, "best_threshold_"):
            return float(self.estimator.best_threshold_)
        if self.estimator.threshold == "auto":
            return 0.5 if method == "predict_proba" else 0.0
        return float(self.estimator.threshold)


def positive_scores(graph: Graph, inner: Any, method: str, X: Features, label: Any = None) -> Value:
    """_get_response_values of a two-class classifier: scores [N] of `label`, or of the second class."""
    import numpy as np

    answer = emit(graph, inner, method, X, type(inner).__name__)
    classes = np.asarray(inner.classes_).tolist()
    place = len(classes) - 1 if label is None else classes.index(label)
    if method in ("predict_proba", "predict_log_proba"):
        return idioms.column(graph, answer, place)
    if method == "decision_function" and place == 0:
        return graph.op("Neg", answer)
    value: Value = answer
    return value


class TransformedTarget(Emitter):
    @property
    def width(self) -> int:
        return emitter(self.estimator.regressor_, self.graph, "regressor_").width

    @property
    def reads_texts(self) -> bool:
        return emitter(self.estimator.regressor_, self.graph, "regressor_").reads_texts

    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        value = emit(graph, source.regressor_, "predict", X, "regressor_")
        one = source._training_dim == 1
        with graph.scope("transformer_"):
            whole = graph.op("Reshape", value, np.array([-1, 1])) if one else value
            back = inverse_of(graph, source.transformer_, whole)
        return idioms.flat(graph, back) if one else back

    def facts(self) -> list[Feature]:
        return emitter(self.estimator.regressor_, self.graph, "regressor_").facts()


EMITTERS: dict[str, type[Emitter]] = {
    **{f"sklearn.model_selection.{name}": Search for name in ("GridSearchCV", "RandomizedSearchCV")},
    **{f"sklearn.model_selection.Halving{name}": Search for name in ("GridSearchCV", "RandomSearchCV")},
    "sklearn.frozen.FrozenEstimator": Frozen,
    "sklearn.semi_supervised.SelfTrainingClassifier": Delegate,
    "sklearn.model_selection.FixedThresholdClassifier": Threshold,
    "sklearn.model_selection.TunedThresholdClassifierCV": Threshold,
    "sklearn.compose.TransformedTargetRegressor": TransformedTarget,
}
