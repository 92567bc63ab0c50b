"""GaussianNB, by way of skl2onnx.

Source: sklearn/naive_bayes.py (1.9). Joint log-likelihood in float64 (X is cast by check_array),
label: argmax of it, first of equals; probability: exp(joint - logsumexp). skl2onnx writes the same
steps in the same order, in float64 where its input is; shown equal by tests/classical.
"""

from __future__ import annotations

from typing import Any

from converters.classical.columns import Features, floats
from converters.classical.emit import Emitter
from converters.classical.graph import Value
from converters.classical.upstream import skl2onnx_leaf


class GaussianNB(Emitter):
    def _outputs(self, X: Features) -> list[Value]:
        import numpy as np

        labels = np.asarray(self.estimator.classes_)
        if labels.dtype.kind not in "iuOU":
            raise self.refuse(f"labels of dtype {labels.dtype}")
        label = "string" if labels.dtype.kind in "OU" else "int64"
        matrix = floats(self.graph, X)
        wanted: list[Any] = [("label", label), ("probabilities", matrix.dtype)]
        return skl2onnx_leaf(self.graph, self.estimator, matrix, wanted, {"zipmap": False})

    def predict(self, X: Features) -> Value:
        return self._outputs(X)[0]

    def predict_proba(self, X: Features) -> Value:
        return self._outputs(X)[1]


EMITTERS = {"sklearn.naive_bayes.GaussianNB": GaussianNB}
