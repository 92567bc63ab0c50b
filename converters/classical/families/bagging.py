"""AdaBoost and bagging, over scikit-learn's trees in one node or over any estimator that converts.

Source: sklearn/ensemble/{_weight_boosting.py,_bagging.py} (1.9).

- AdaBoostClassifier (SAMME): each member adds its weight to the class it predicts and takes
  weight / (classes - 1) from the others, in order; divided by the sum of weights. Two classes: the
  second where (second - first) is above 0. Probabilities: softmax of the decision over classes - 1.
- AdaBoostClassifier (SAMME.R, before 1.6): each member adds (classes - 1) times its log probabilities,
  clipped at eps, less their mean. SAMME before 1.3: a member takes nothing from the others.
- AdaBoostRegressor: the weighted median: members sorted by answer, the first at which the running
  weight reaches half of all.
- BaggingClassifier: mean of the members' probabilities in order, each at the places of the classes it saw;
  or, without predict_proba, shares of their votes. Members see their own columns.
- BaggingRegressor: mean of the members' answers in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, select
from converters.classical.emit import Emitter, emit, emitter, offers
from converters.classical.facts import Feature, merge
from converters.classical.families.trees import (
    Votes,
    added,
    double,
    leaf_rows,
    mean,
    rounded_down,
    single,
    summed_in_order,
    tree_of,
    widened,
)
from converters.classical.releases import class_shares, has_parameter, release

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value

_TREES = {
    f"sklearn.tree._classes.{name}"
    for name in (
        "DecisionTreeClassifier",
        "ExtraTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeRegressor",
    )
}


class Ensemble(Emitter):
    """Members, each with the columns that it sees."""

    @property
    def members(self) -> list[Any]:
        return list(self.estimator.estimators_)

    def columns_of(self, index: int) -> list[int] | None:
        """The columns of a member; None where it sees them all."""
        found = getattr(self.estimator, "estimators_features_", None)
        return None if found is None else [int(i) for i in found[index]]

    @property
    def are_trees(self) -> bool:
        """Whether all members are scikit-learn's own trees with one output: one node can hold them."""
        return all(
            f"{type(member).__module__}.{type(member).__name__}" in _TREES and member.n_outputs_ == 1
            for member in self.members
        )

    def answer(self, index: int, capability: str, X: Features) -> Any:
        """What one member says of its columns."""
        columns = self.columns_of(index)
        seen = X if columns is None else select(self.graph, X, columns)
        return emit(self.graph, self.members[index], capability, seen, f"estimators_[{index}]")

    def member_offers(self, capability: str) -> bool:
        return all(offers(self.graph, member, capability) for member in self.members)

    def facts(self) -> list[Feature]:
        found: list[list[Feature]] = [[] for _ in range(self.width)]
        for index, member in enumerate(self.members):
            columns = self.columns_of(index)
            facts = emitter(member, self.graph, f"estimators_[{index}]").facts()
            for column, fact in zip(range(self.width) if columns is None else columns, facts):
                found[column].append(fact)
        return [merge(facts) if facts else Feature() for facts in found]

    def in_order(self, parts: list[Value]) -> Value:
        """The sum of equally shaped parts, one after the other."""
        import numpy as np

        stacked = [self.graph.op("Unsqueeze", part, np.array([0])) for part in parts]
        return added(self.graph, idioms.concat(self.graph, stacked, axis=0), len(parts))

    def tree_arrays(self) -> list[Any]:
        return [tree_of(member, self.columns_of(i)) for i, member in enumerate(self.members)]


def _leaf_values(member: Any) -> np.ndarray:
    """[leaves, classes or 1] of a tree with one output."""
    values: np.ndarray = member.tree_.value[tree_of(member).leaves, 0, :]
    return values


class AdaBoostClassifier(Ensemble):
    """Weighted votes."""

    def decision(self, X: Features) -> Value:
        """[N, classes] float64, the first column as it is for two classes, too."""
        import numpy as np

        graph, weights = self.graph, self.estimator.estimator_weights_
        if self.are_trees:
            table = np.concatenate([self._votes(*pair) for pair in zip(self.members, weights)])
            trees = [rounded_down(tree) for tree in self.tree_arrays()]
            total = summed_in_order(graph, leaf_rows(graph, single(graph, X), trees), table, len(trees))
        else:
            total = self.in_order(
                [self._said(i, float(w), X) for i, w in zip(range(len(self.members)), weights)]
            )
        return graph.div(total, float(weights.sum()))

    def _votes(self, member: Any, weight: float) -> np.ndarray:
        """What each leaf adds, [leaves, classes]."""
        import numpy as np

        classes = self.estimator.classes_
        if self.is_real:
            p = class_shares(_leaf_values(member))
            logs = np.log(np.clip(p, np.finfo(np.float64).eps, None))
            part = logs - (1.0 / len(classes)) * logs.sum(axis=1)[:, np.newaxis]
            said: np.ndarray = (len(classes) - 1) * part
            return said
        chosen = member.classes_[_leaf_values(member).argmax(axis=1)]
        return np.where(chosen[:, None] == classes[None, :], weight, self.penalty(weight))

    @property
    def is_real(self) -> bool:
        """Whether members add log probabilities: SAMME.R, until scikit-learn 1.5."""
        return has_parameter(self.estimator, "algorithm") and self.estimator.algorithm == "SAMME.R"

    def penalty(self, weight: float) -> float:
        """What a member adds to the classes that it does not predict."""
        return 0.0 if release() < (1, 3) else -1 / (len(self.estimator.classes_) - 1) * weight

    def _said(self, index: int, weight: float, X: Features) -> Value:
        """What a member adds, [N, classes]."""
        graph, classes = self.graph, self.estimator.classes_
        if self.is_real:
            return self._log_odds(index, X)
        label = idioms.upright(graph, self.answer(index, "predict", X))
        hit = graph.cast(idioms.one_hot(graph, self._code(label), len(classes)), "bool")
        return graph.where(hit, graph.constant(weight), graph.constant(self.penalty(weight)))

    def _log_odds(self, index: int, X: Features) -> Value:
        """What a member of SAMME.R adds, [N, classes]."""
        import numpy as np

        graph, count = self.graph, len(self.estimator.classes_)
        p = self.answer(index, "predict_proba", X)
        eps = np.array(np.finfo(p.dtype).eps, dtype=p.dtype)
        logs = graph.op("Log", graph.op("Max", p, eps))
        mean = graph.mul(idioms.row_sum(graph, logs), 1.0 / count)
        return graph.cast(graph.mul(graph.sub(logs, mean), float(count - 1)), "float64")

    def _code(self, label: Value) -> Value:
        """The place of a label among the classes."""
        import numpy as np

        classes = np.asarray(self.estimator.classes_)
        if label.dtype == "bool":
            label, classes = self.graph.cast(label, "int64"), classes.astype(np.int64)
        keys = classes if label.dtype == "string" else classes.astype(label.dtype)
        return idioms.lookup(self.graph, label, keys, np.arange(len(classes), dtype=np.int64), -1)

    def decision_function(self, X: Features) -> Value:
        if len(self.estimator.classes_) == 1:
            raise self.refuse("it was fitted on one class only")
        graph, decision = self.graph, self.decision(X)
        if len(self.estimator.classes_) > 2:
            return decision
        first, second = (idioms.column(graph, decision, i) for i in (0, 1))
        return graph.add(graph.op("Neg", first), second)

    def predict(self, X: Features) -> Value:
        graph, decision = self.graph, self.decision_function(X)
        if len(self.estimator.classes_) > 2:
            return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, decision))
        above = graph.cast(graph.greater(decision, 0.0), "int64")
        return idioms.classes(graph, self.estimator.classes_, above)

    def predict_proba(self, X: Features) -> Value:
        graph, decision, count = self.graph, self.decision_function(X), len(self.estimator.classes_)
        if count > 2:
            return idioms.softmax(graph, graph.div(decision, float(count - 1)))
        both = idioms.stack(graph, [graph.op("Neg", decision), decision])
        return idioms.softmax(graph, graph.div(both, 2.0))


class AdaBoostRegressor(Ensemble):
    """The weighted median of the members."""

    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, weights = self.graph, np.asarray(self.estimator.estimator_weights_, dtype=np.float64)
        answers, count = self._answers(X), len(self.members)
        weights = weights[:count]
        ordered, places = graph.ops(
            *("TopK", answers, np.array([count])),
            dtypes=(None, "int64"),
            axis=1,
            largest=0,
            sorted=1,
        )
        running = graph.op("CumSum", idioms.take(graph, weights, places), np.array(1))
        half = graph.mul(idioms.take_columns(graph, running, [count - 1]), 0.5)
        reached = graph.cast(graph.greater_equal(running, half), "int64")
        first = idioms.upright(graph, idioms.argmax(graph, reached))
        return idioms.flat(graph, graph.op("GatherElements", ordered, first, axis=1))

    def _answers(self, X: Features) -> Value:
        """[N, members]."""
        import numpy as np

        graph = self.graph
        if not self.are_trees:
            return idioms.stack(graph, [self.answer(i, "predict", X) for i in range(len(self.members))])
        table = np.concatenate([_leaf_values(member)[:, 0] for member in self.members])
        trees = [rounded_down(tree) for tree in self.tree_arrays()]
        return idioms.take(graph, table, leaf_rows(graph, single(graph, X), trees))


class BaggingRegressor(Ensemble):
    """The mean of the members."""

    def predict(self, X: Features) -> Value:
        graph, count = self.graph, len(self.members)
        if self.are_trees:
            values = [_leaf_values(member)[:, 0] for member in self.members]
            trees = [widened(tree) for tree in self.tree_arrays()]
            return idioms.flat(graph, mean(graph, double(graph, X), trees, values))
        total = self.in_order([self.answer(i, "predict", X) for i in range(count)])
        return graph.div(total, float(count))


class BaggingClassifier(Ensemble):
    """The mean of the members' probabilities, or shares of their votes."""

    def offers(self, capability: str) -> bool:
        if capability == "decision_function":
            return hasattr(self.estimator, capability) and self.member_offers(capability)
        return super().offers(capability)

    def predict_proba(self, X: Features) -> Value:
        import numpy as np

        graph, members = self.graph, self.members
        if self.are_trees:
            table = np.concatenate(
                [self._placed(class_shares(_leaf_values(one)), one.classes_) for one in members]
            )
            total = Votes(graph, self.tree_arrays(), table).total(X)
        else:
            total = self.in_order([self._share(i, X) for i in range(len(members))])
        return graph.div(total, float(len(members)))

    def _placed(self, values: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Columns of the classes that a member saw, at their places among all."""
        import numpy as np

        table = np.zeros((len(values), self.estimator.n_classes_))
        table[:, np.asarray(seen, dtype=np.int64)] = values
        return table

    def _share(self, index: int, X: Features) -> Value:
        """What a member adds: its probabilities, or 1 for the class it predicts."""
        import numpy as np

        graph, member, count = self.graph, self.members[index], self.estimator.n_classes_
        if not hasattr(member, "predict_proba"):
            label = graph.cast(idioms.upright(graph, self.answer(index, "predict", X)), "int64")
            return idioms.one_hot(graph, label, count)
        p = graph.cast(self.answer(index, "predict_proba", X), "float64")
        if len(member.classes_) == count:
            return p
        return graph.matmul(p, self._placed(np.eye(len(member.classes_)), member.classes_))

    def predict(self, X: Features) -> Value:
        index = idioms.argmax(self.graph, self.predict_proba(X))
        return idioms.classes(self.graph, self.estimator.classes_, index)

    def decision_function(self, X: Features) -> Value:
        parts = [self.answer(i, "decision_function", X) for i in range(len(self.members))]
        return self.graph.div(self.in_order(parts), float(len(self.members)))


EMITTERS = {
    "sklearn.ensemble.AdaBoostClassifier": AdaBoostClassifier,
    "sklearn.ensemble.AdaBoostRegressor": AdaBoostRegressor,
    "sklearn.ensemble.BaggingClassifier": BaggingClassifier,
    "sklearn.ensemble.BaggingRegressor": BaggingRegressor,
}
