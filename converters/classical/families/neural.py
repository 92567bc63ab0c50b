"""Multi-layer perceptrons.

Source: sklearn/neural_network/_multilayer_perceptron.py and _base.py (1.9).

- layers ``a @ coefs + intercepts`` in numpy's promotion of X and the coefficients, rounded to the dtype
  of the product (``+=``); relu is maximum(x, 0), logistic expit, softmax exp(x - max) / sum.
- labels: two classes from above 0.5 (a single one always); several: argmax, the first of equals; label
  columns above 0.5.
- regressors: the output as it is, its exponential for poisson.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.families.linear import affine
from converters.classical.graph import Graph, Value


class Perceptron(Emitter):
    def output(self, X: Features) -> Value:
        """[N, outputs]."""
        source, value = self.estimator, numeric(self.graph, X).value
        layers = list(zip(source.coefs_, source.intercepts_))
        for index, (coef, intercept) in enumerate(layers):
            value = affine(self.graph, value, coef, intercept)
            last = index == len(layers) - 1
            value = activated(self.graph, value, source.out_activation_ if last else source.activation)
        return value


def activated(graph: Graph, x: Value, name: str) -> Value:
    """One of scikit-learn's activations. Raises `UnsupportedModelError` for another."""
    if name == "identity":
        return x
    if name == "relu":
        return graph.maximum(x, 0)
    if name == "logistic":
        return idioms.expit(graph, x)
    if name == "softmax":
        return idioms.shares(graph, x)
    if name in ("tanh", "exp"):
        return graph.op(name.capitalize(), x)
    raise graph.refuse(f"the activation {name!r} has no converter")


class MLPClassifier(Perceptron):
    def predict_proba(self, X: Features) -> Value:
        output = self.output(X)
        return idioms.two_columns(self.graph, output) if self.estimator.n_outputs_ == 1 else output

    def predict(self, X: Features) -> Value:
        graph, output, binarizer = self.graph, self.output(X), self.estimator._label_binarizer
        if binarizer.y_type_.startswith("multilabel"):
            return graph.cast(graph.greater(output, 0.5), "int64")
        if self.estimator.n_outputs_ == 1:
            # Of a single class it is always that one, whatever the output.
            bound = 0.5 if len(self.estimator.classes_) > 1 else float("inf")
            index = graph.cast(idioms.flat(graph, graph.greater(output, bound)), "int64")
        else:
            index = idioms.argmax(graph, output)
        return idioms.classes(graph, self.estimator.classes_, index)

    def predict_log_proba(self, X: Features) -> Value:
        return self.graph.op("Log", self.predict_proba(X))


class MLPRegressor(Perceptron):
    def predict(self, X: Features) -> Value:
        output = self.output(X)
        return idioms.flat(self.graph, output) if self.estimator.n_outputs_ == 1 else output


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.neural_network.MLPClassifier": MLPClassifier,
    "sklearn.neural_network.MLPRegressor": MLPRegressor,
}
