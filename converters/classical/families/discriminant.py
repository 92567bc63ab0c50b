"""Linear and quadratic discriminant analysis.

Source: sklearn/discriminant_analysis.py (1.9).

- LDA: scores, labels and decision as every linear classifier. Two classes: probability expit(score),
  not of its double; more: softmax of the scores. Log: 0 becomes the smallest normal number first.
  Constant columns other than 0 have coefficients of rounding under solver svd: refused where that shows.
  transform: ``(X - xbar_) @ scalings_`` (svd) or ``X @ scalings_`` (eigen), the first components.
- QDA: ``-(|(X - mean) R S^-½|² + Σ log S) / 2 + log prior`` by class; label: argmax; decision of two
  classes: the second less the first; log probability: less the log of the summed exponentials.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, around
from converters.classical.families import precision
from converters.classical.families.linear import LinearClassifier
from converters.classical.graph import Value


class LinearDiscriminant(LinearClassifier):
    def facts(self) -> list[Feature]:
        return around(self.estimator.means_, share=1.0)

    def product(self, X: Features) -> Value:
        import numpy as np

        source = self.estimator
        dtype = str(np.result_type(numeric(self.graph, X).dtype, source.coef_, np.float32))
        share = precision.lost(source.means_, source.coef_.T, dtype, source.intercept_)
        way_out = (
            "Drop the columns that are constant (VarianceThreshold) or sums of others, or solver='lsqr'."
        )
        precision.demand(self, share, precision.MOST_LOST[dtype], way_out)
        return super().product(X)

    def predict_proba(self, X: Features) -> Value:
        scores = self.product(X)
        if len(self.estimator.classes_) == 2:
            return idioms.two_columns(self.graph, idioms.expit(self.graph, scores))
        return idioms.shares(self.graph, scores)

    def predict_log_proba(self, X: Features) -> Value:
        import numpy as np

        p = self.predict_proba(X)
        smallest = float(np.finfo(np.dtype(p.dtype)).smallest_normal)
        return self.graph.op("Log", self.graph.where(self.graph.equal(p, 0), smallest, p))

    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, x = self.estimator, numeric(self.graph, X).value
        if source.solver == "lsqr":
            raise self.refuse("transform has no meaning with solver='lsqr'")
        if source.solver == "svd":
            x = self.graph.sub(x, np.asarray(source.xbar_))
        scalings = np.asarray(source.scalings_)[:, : source._max_components]
        return Matrix(self.graph.matmul(x, np.ascontiguousarray(scalings)), scalings.shape[1])


class QuadraticDiscriminant(Emitter):
    def facts(self) -> list[Feature]:
        return around(self.estimator.means_, share=1.0)

    def scores(self, X: Features) -> Value:
        """[N, classes]."""
        import numpy as np

        graph, source = self.graph, self.estimator
        x, norms = numeric(graph, X).value, []
        for rotation, scaling, mean in zip(source.rotations_, source.scalings_, source.means_):
            turned = graph.matmul(graph.sub(x, np.asarray(mean)), rotation * scaling ** (-0.5))
            norms.append(idioms.row_sum(graph, graph.mul(turned, turned)))
        volume = np.array([np.sum(np.log(scaling)) for scaling in source.scalings_])
        likely = graph.mul(graph.add(idioms.concat(graph, norms), volume), -0.5)
        return graph.add(likely, np.log(source.priors_))

    def predict(self, X: Features) -> Value:
        return idioms.classes(self.graph, self.estimator.classes_, idioms.argmax(self.graph, self.scores(X)))

    def decision_function(self, X: Features) -> Value:
        scores = self.scores(X)
        if len(self.estimator.classes_) != 2:
            return scores
        first, second = (idioms.column(self.graph, scores, i) for i in (0, 1))
        return self.graph.sub(second, first)

    def predict_log_proba(self, X: Features) -> Value:
        graph, scores = self.graph, self.scores(X)
        likely = graph.sub(scores, idioms.row_max(graph, scores))
        return graph.sub(likely, graph.op("Log", idioms.row_sum(graph, graph.op("Exp", likely))))

    def predict_proba(self, X: Features) -> Value:
        return self.graph.op("Exp", self.predict_log_proba(X))


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": LinearDiscriminant,
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis": QuadraticDiscriminant,
}
