"""Label propagation and spreading.

Source: sklearn/semi_supervised/_label_propagation.py (1.9). Probabilities: label distributions of the
fitted rows, weighted by the rbf kernel (``|x|² + |y|² - 2xy``) or summed over the nearest neighbours,
divided by their sum; label: argmax of them, the first of equals. Far from all fitted rows the weights are
0 and the source's probabilities NaN, its label the first class.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, around
from converters.classical.families.kernel_functions import pairwise
from converters.classical.families.linear import dense
from converters.classical.families.neighbours import Neighbours
from converters.classical.graph import Value


class Propagation(Emitter):
    def facts(self) -> list[Feature]:
        return around(self.estimator.X_)

    def predict_proba(self, X: Features) -> Value:
        graph, source = self.graph, self.estimator
        x, points, shares = numeric(graph, X).value, dense(source.X_), dense(source.label_distributions_)
        if source.kernel == "knn":
            total = self._neighbours(x)
        else:
            weights = pairwise(graph, x, points, source.kernel, {"gamma": source.gamma})
            total = graph.matmul(weights, shares)
        return graph.div(total, idioms.row_sum(graph, total))

    def _neighbours(self, x: Value) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        search = Neighbours(source.nn_fit, graph)
        count = int(source.n_neighbors)
        rows = search.neighbours(Matrix(x, search.width), count, turn=True)[1]
        shares = idioms.take(graph, dense(source.label_distributions_), rows)
        # One neighbour after the other: equal sums but for the last bit decide the label.
        running = graph.op("CumSum", shares, np.array(1, dtype=np.int64))
        return graph.op("Gather", running, np.array(count - 1), axis=1)

    def predict(self, X: Features) -> Value:
        graph, shares = self.graph, self.predict_proba(X)
        known = graph.where(graph.op("IsNaN", shares), 0.0, shares)
        return idioms.classes(graph, self.estimator.classes_, idioms.argmax(graph, known))


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.semi_supervised.LabelPropagation": Propagation,
    "sklearn.semi_supervised.LabelSpreading": Propagation,
}
