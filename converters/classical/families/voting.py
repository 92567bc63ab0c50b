"""Voting and stacking.

Source: sklearn/ensemble/{_voting,_stacking}.py, numpy.average (1.9).

- members were fitted on class numbers. Hard voting adds the members' weights to the class each predicts,
  in order; soft voting adds weighted probabilities in order and divides by the sum of weights; the label
  is the first of the largest.
- stacking joins what each member's stack method gives (the second column only of two classes'
  probabilities), and with passthrough X itself; the final estimator's class numbers become classes.
"""

from __future__ import annotations

from typing import Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, join
from converters.classical.emit import Emitter, emit, emitter, offers
from converters.classical.facts import Feature, merge, unknown
from converters.classical.families.trees import added
from converters.classical.graph import Value
from converters.classical.releases import stacked_width


class Members(Emitter):
    """Estimators that all see the same rows."""

    @property
    def members(self) -> list[Any]:
        return list(self.estimator.estimators_)

    def writers(self) -> list[Emitter]:
        return [emitter(member, self.graph, self.name(i)) for i, member in enumerate(self.members)]

    def name(self, index: int) -> str:
        return f"estimators_[{index}]"

    @property
    def width(self) -> int:
        known = getattr(self.estimator, "n_features_in_", None)
        return max(writer.width for writer in self.writers()) if known is None else int(known)

    @property
    def reads_texts(self) -> bool:
        return any(writer.reads_texts for writer in self.writers())

    def facts(self) -> list[Feature]:
        known = [writer.facts() for writer in self.writers() if writer.width == self.width]
        return [merge(facts) for facts in zip(*known)] if known else unknown(self.width)

    def answers(self, capability: str, X: Features) -> list[Any]:
        return [
            emit(self.graph, member, capability, X, self.name(i)) for i, member in enumerate(self.members)
        ]

    def average(self, parts: list[Value]) -> Value:
        """numpy.average of equally shaped parts over a new first axis."""
        import numpy as np

        weights = self.estimator._weights_not_none
        if weights is not None:
            parts = [self.graph.mul(part, np.asarray(w, dtype=np.float64)) for part, w in zip(parts, weights)]
        total = added(self.graph, stacked(self, parts), len(parts))
        return self.graph.div(
            total, float(len(parts) if weights is None else np.sum(np.asarray(weights, float)))
        )


def stacked(writer: Emitter, parts: list[Value]) -> Value:
    """Equally shaped parts on a new first axis."""
    import numpy as np

    graph = writer.graph
    common = str(np.result_type(*[np.dtype(part.dtype) for part in parts]))
    raised = [graph.op("Unsqueeze", graph.cast(part, common), np.array([0])) for part in parts]
    return idioms.concat(graph, raised, axis=0)


class VotingClassifier(Members):
    def offers(self, capability: str) -> bool:
        return super().offers(capability) and hasattr(self.estimator, capability)

    def predict_proba(self, X: Features) -> Value:
        return self.average(self.answers("predict_proba", X))

    def predict(self, X: Features) -> Value:
        soft = self.estimator.voting == "soft"
        totals = self.predict_proba(X) if soft else self._votes(X)
        return idioms.classes(self.graph, self.estimator.classes_, idioms.argmax(self.graph, totals))

    def _votes(self, X: Features) -> Value:
        import numpy as np

        graph, count = self.graph, len(self.estimator.classes_)
        weights = self.estimator._weights_not_none or [1.0] * len(self.members)
        said = [idioms.upright(graph, labels) for labels in self.answers("predict", X)]
        votes = [
            graph.mul(idioms.one_hot(graph, one, count), np.asarray(w, float))
            for one, w in zip(said, weights)
        ]
        return added(graph, stacked(self, votes), len(votes))

    def transform(self, X: Features) -> Matrix:
        if self.estimator.voting == "hard":
            return Matrix(idioms.stack(self.graph, self.answers("predict", X)), len(self.members))
        if not self.estimator.flatten_transform:
            raise self.refuse("flatten_transform=False gives no matrix", "Set flatten_transform=True.")
        width = len(self.members) * len(self.estimator.classes_)
        return Matrix(idioms.concat(self.graph, self.answers("predict_proba", X)), width)


class VotingRegressor(Members):
    def predict(self, X: Features) -> Value:
        return self.average(self.answers("predict", X))

    def transform(self, X: Features) -> Matrix:
        return Matrix(idioms.stack(self.graph, self.answers("predict", X)), len(self.members))


class Stacking(Members):
    """The matrix that the final estimator reads."""

    def offers(self, capability: str) -> bool:
        if capability == "transform":
            return True
        return super().offers(capability) and offers(self.graph, self.estimator.final_estimator_, capability)

    def transform(self, X: Features) -> Features:
        parts: list[Features] = []
        for index, method in enumerate(self.estimator.stack_method_):
            said = emit(self.graph, self.members[index], method, X, self.name(index))
            parts.append(self._columns(said, method, index))
        if self.estimator.passthrough:
            parts.append(X)
        return join(self.graph, parts)

    def _columns(self, said: Any, method: str, index: int) -> Matrix:
        import numpy as np

        if isinstance(said, list):
            raise self.refuse("members with several outputs have no converter in stacking")
        if method == "predict_proba" and len(self.estimator.classes_) == 2:
            return Matrix(idioms.take_columns(self.graph, said, [1]), 1)
        width = stacked_width(self.estimator, method, index)
        return Matrix(self.graph.op("Reshape", said, np.array([-1, width])), width)

    def final(self, capability: str, X: Features) -> Any:
        return emit(
            self.graph, self.estimator.final_estimator_, capability, self.transform(X), "final_estimator_"
        )


class StackingRegressor(Stacking):
    def predict(self, X: Features) -> Any:
        return self.final("predict", X)


class StackingClassifier(Stacking):
    def predict(self, X: Features) -> Value:
        if isinstance(getattr(self.estimator, "_label_encoder", None), list):
            raise self.refuse("several label columns have no converter in stacking")
        index = self.graph.cast(self.final("predict", X), "int64")
        return idioms.classes(self.graph, self.estimator.classes_, index)

    def predict_proba(self, X: Features) -> Any:
        return self.final("predict_proba", X)

    def decision_function(self, X: Features) -> Any:
        return self.final("decision_function", X)


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.ensemble.VotingClassifier": VotingClassifier,
    "sklearn.ensemble.VotingRegressor": VotingRegressor,
    "sklearn.ensemble.StackingClassifier": StackingClassifier,
    "sklearn.ensemble.StackingRegressor": StackingRegressor,
}
