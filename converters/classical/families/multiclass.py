"""One against the rest, each pair, output codes; several outputs and chains.

Source: sklearn/multiclass.py, sklearn/multioutput.py (1.9).

- a member's score: its decision where it has one, else the probability of its second class; a regressor's
  answer.
- OneVsRest: the first class of the largest score; two classes or label columns: score above 0 (decision)
  or 0.5. Probabilities: second columns, divided by their sum where that is not 0, but not for label
  columns.
- OneVsOne: votes plus squashed sums of confidences, the first of the largest.
- OutputCode: the code word nearest to the scores, ``|c|² - 2 s c``, the first of equals.
- chains: float64; each member sees X and the answers (labels, or what `chain_method_` says) of those
  before it.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, join, numeric, select
from converters.classical.emit import Emitter, emit, offers
from converters.classical.facts import Feature, unknown
from converters.classical.families.distances import nearest
from converters.classical.families.meta import positive_scores
from converters.classical.families.svm import one_versus_one
from converters.classical.families.voting import Members
from converters.classical.graph import Value


class Binary(Members):
    """Members that decide between two classes."""

    def score(self, index: int, X: Features) -> Value:
        """_predict_binary: [N]."""
        from sklearn.base import is_regressor

        member = self.members[index]
        if is_regressor(member):
            return self._flat(emit(self.graph, member, "predict", X, self.name(index)))
        if hasattr(member, "decision_function"):
            return self._flat(emit(self.graph, member, "decision_function", X, self.name(index)))
        return idioms.column(self.graph, emit(self.graph, member, "predict_proba", X, self.name(index)), 1)

    def _flat(self, value: Value) -> Value:
        return idioms.flat(self.graph, value)

    @property
    def threshold(self) -> float:
        from sklearn.base import is_classifier

        first = self.members[0]
        return 0.0 if hasattr(first, "decision_function") and is_classifier(first) else 0.5

    def scores(self, X: Features) -> list[Value]:
        return [self.score(index, X) for index in range(len(self.members))]


class Constant(Emitter):
    """_ConstantPredictor: all training rows were of one class."""

    @property
    def width(self) -> int:
        return 1

    def predict(self, X: Features) -> Value:
        import numpy as np

        value = np.asarray(self.estimator.y_).reshape(-1)[0]
        dtype = np.int64 if value.dtype.kind in "iu" else value.dtype
        return idioms.broadcast_rows(self.graph, np.asarray(value, dtype=dtype))

    def decision_function(self, X: Features) -> Value:
        return self.predict(X)

    def predict_proba(self, X: Features) -> Value:
        import numpy as np

        value = float(np.asarray(self.estimator.y_).reshape(-1)[0])
        return idioms.broadcast_rows(self.graph, np.array([1.0 - value, value]))


class OneVsRest(Binary):
    def offers(self, capability: str) -> bool:
        return super().offers(capability) and hasattr(self.estimator, capability)

    def predict(self, X: Features) -> Value:
        graph, binarizer = self.graph, self.estimator.label_binarizer_
        scores = self._together(self.scores(X))
        if binarizer.y_type_ == "multiclass":
            return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, scores))
        above = graph.cast(graph.greater(scores, self.threshold), "int64")
        if self.estimator.multilabel_:
            return above
        return idioms.classes(graph, self.estimator.classes_, idioms.flat(graph, above))

    def _together(self, scores: list[Value]) -> Value:
        import numpy as np

        common = str(np.result_type(*[np.dtype(score.dtype) for score in scores]))
        return idioms.stack(self.graph, [self.graph.cast(score, common) for score in scores])

    def predict_proba(self, X: Features) -> Value:
        graph = self.graph
        second = self._together([idioms.column(graph, one, 1) for one in self.answers("predict_proba", X)])
        if len(self.members) == 1:
            second = idioms.two_columns(graph, second)
        if self.estimator.multilabel_:
            return second
        total = idioms.row_sum(graph, second)
        return graph.div(second, graph.where(graph.equal(total, 0), 1.0, total))

    def decision_function(self, X: Features) -> Value:
        answers = self.answers("decision_function", X)
        if len(answers) == 1:
            value: Value = answers[0]
            return value
        return self._together([self._flat(one) for one in answers])


class OneVsOne(Binary):
    def _columns(self, index: int, X: Features) -> Features:
        pairs = self.estimator.pairwise_indices_
        return X if pairs is None else select(self.graph, X, [int(i) for i in pairs[index]])

    def decision_function(self, X: Features) -> Value:
        graph, count = self.graph, len(self.estimator.classes_)
        said, scores = [], []
        for index, member in enumerate(self.members):
            seen = self._columns(index, X)
            said.append(graph.cast(emit(graph, member, "predict", seen, self.name(index)), "float64"))
            scores.append(graph.cast(self.score(index, seen), "float64"))
        Y = one_versus_one(graph, idioms.stack(graph, said), idioms.stack(graph, scores), count)
        return idioms.column(graph, Y, 1) if self.estimator.n_classes_ == 2 else Y

    def predict(self, X: Features) -> Value:
        graph, Y = self.graph, self.decision_function(X)
        if self.estimator.n_classes_ == 2:
            index = graph.cast(graph.greater(Y, self.threshold), "int64")
        else:
            index = idioms.argmax(graph, Y)
        return idioms.classes(graph, self.estimator.classes_, index)


class OutputCode(Binary):
    def predict(self, X: Features) -> Value:
        graph = self.graph
        Y = idioms.stack(graph, [graph.cast(score, "float64") for score in self.scores(X)])
        return idioms.classes(graph, self.estimator.classes_, nearest(graph, Y, self.estimator.code_book_))


class MultiOutput(Members):
    def predict(self, X: Features) -> Value:
        return idioms.stack(self.graph, self.answers("predict", X))

    def predict_proba(self, X: Features) -> list[Value]:
        return self.answers("predict_proba", X)

    def offers(self, capability: str) -> bool:
        if capability == "predict_proba":
            return all(offers(self.graph, member, capability) for member in self.members)
        return super().offers(capability)


class Chain(Members):
    def _chained(self, X: Features, method: str) -> Value:
        import numpy as np

        graph, given = self.graph, numeric(self.graph, X)
        given = Matrix(graph.cast(given.value, "float64"), given.width, given.sparse)
        previous: list[Value] = []
        outputs: list[Value] = []
        chain_method = getattr(self.estimator, "chain_method_", "predict")
        for index in range(len(self.members)):
            seen = join(graph, [given, *(Matrix(idioms.upright(graph, one), 1) for one in previous)])
            previous.append(self._response(index, chain_method, seen))
            outputs.append(self._response(index, method, seen))
        places = np.argsort(np.asarray(self.estimator.order_))
        return idioms.stack(graph, [outputs[int(place)] for place in places])

    def _response(self, index: int, method: str, X: Features) -> Value:
        member = self.members[index]
        if method != "predict" and len(getattr(member, "classes_", ())) != 2:
            raise self.refuse(
                f"{method} of {self.name(index)}, which does not have two classes, has no converter"
            )
        if method == "predict":
            said = emit(self.graph, member, method, X, self.name(index))
        else:
            said = positive_scores(self.graph, member, method, X)
        if said.dtype == "string":
            raise self.refuse("labels are text, which a chain cannot pass on")
        return self.graph.cast(said, "float64")

    def predict(self, X: Features) -> Value:
        return self._chained(X, "predict")

    def predict_proba(self, X: Features) -> Value:
        return self._chained(X, "predict_proba")

    def decision_function(self, X: Features) -> Value:
        return self._chained(X, "decision_function")

    def facts(self) -> list[Feature]:
        return unknown(self.width)


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.multiclass.OneVsRestClassifier": OneVsRest,
    "sklearn.multiclass.OneVsOneClassifier": OneVsOne,
    "sklearn.multiclass.OutputCodeClassifier": OutputCode,
    "sklearn.multiclass._ConstantPredictor": Constant,
    "sklearn.multioutput.MultiOutputClassifier": MultiOutput,
    "sklearn.multioutput.MultiOutputRegressor": MultiOutput,
    "sklearn.multioutput.ClassifierChain": Chain,
    "sklearn.multioutput.RegressorChain": Chain,
}
