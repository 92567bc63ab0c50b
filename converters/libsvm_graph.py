"""A LIBSVM model as an ONNX graph in float64, in the order of LIBSVM's own sums.

Source: svm_predict_values and svm_predict_probability of LIBSVM 3.37 (svm.cpp). The decision of a pair of
classes i < j is positive for i; the label has most votes, the first of equals. Probabilities of two
classes are the logistic function itself, of more the coupling of `classical.families.svm`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.families.svm import coupled, radial
from converters.classical.graph import Graph, Value
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.libsvm_files import SvmModel
    from zoo.records import TensorSpec


def written(model: SvmModel, rows: TensorSpec, opset: int | None) -> onnx.ModelProto:
    """The model with the outputs of `from_libsvm.outputs`."""
    graph = Graph()
    x = graph.cast(graph.input(rows.name, rows.dtype, rows.shape), "float64")
    with graph.scope(model.svm_type):
        scores = graph.op("Gemm", _kernel(graph, x, model), _weights(model), -model.rho)
    if not model.is_classifier:
        _one_answer(graph, scores, model)
    else:
        _classes(graph, scores, model)
    return graph.build(opset)


def _kernel(graph: Graph, x: Value, model: SvmModel) -> Value:
    """[N, support vectors]."""
    if model.kernel == "precomputed":
        raise UnsupportedModelError(
            "a precomputed kernel: the model holds numbers of training rows, not the rows",
            hint="Train with one of LIBSVM's own kernels (-t 0 to 3).",
        )
    if model.kernel == "rbf":
        return radial(graph, x, model.vectors, model.gamma)
    inner = graph.matmul(x, model.vectors.T.copy())
    if model.kernel == "linear":
        return inner
    inner = graph.add(graph.mul(inner, model.gamma), model.coef0)
    if model.kernel == "sigmoid":
        return graph.op("Tanh", inner)
    return graph.pow(inner, float(model.degree))


def _weights(model: SvmModel) -> np.ndarray:
    """[support vectors, pairs]: a vector of class i counts in each pair that has i."""
    import numpy as np

    if not model.is_classifier:
        return np.asarray(model.coefficients)
    ends = np.cumsum(model.counts)
    starts = ends - model.counts
    pairs = list(itertools.combinations(range(model.classes), 2))
    weights = np.zeros((len(model.vectors), len(pairs)))
    for column, (i, j) in enumerate(pairs):
        first, second = slice(starts[i], ends[i]), slice(starts[j], ends[j])
        weights[first, column] = model.coefficients[first, j - 1]
        weights[second, column] = model.coefficients[second, i]
    return weights


def _one_answer(graph: Graph, scores: Value, model: SvmModel) -> None:
    value = idioms.flat(graph, scores)
    if model.svm_type == "one_class":
        inlier = graph.greater(value, 0.0)
        label = graph.where(inlier, graph.constant(1, "int64"), graph.constant(-1, "int64"))
        graph.output("label", label, ("batch",))
        graph.output("scores", value, ("batch",))
    else:
        graph.output("variable", value, ("batch",))


def _classes(graph: Graph, scores: Value, model: SvmModel) -> None:
    pairs = model.classes * (model.classes - 1) // 2
    graph.output("label", idioms.classes(graph, model.labels, _winner(graph, scores, model)), ("batch",))
    graph.output("scores", scores, ("batch", pairs))
    if model.gives_probabilities:
        chances = _probabilities(graph, scores, model)
        graph.output("probabilities", chances, ("batch", model.classes))
        likeliest = idioms.classes(graph, model.labels, idioms.argmax(graph, chances))
        graph.output("probability_label", likeliest, ("batch",))


def _winner(graph: Graph, scores: Value, model: SvmModel) -> Value:
    import numpy as np

    members = np.array(list(itertools.combinations(range(model.classes), 2)))
    first = graph.cast(graph.greater(scores, 0.0), "float64")
    wins, losses = (np.eye(model.classes)[members[:, place]] for place in (0, 1))
    votes = graph.add(graph.matmul(first, wins), graph.matmul(graph.sub(1.0, first), losses))
    return idioms.argmax(graph, votes)


def _probabilities(graph: Graph, scores: Value, model: SvmModel) -> Value:
    exponents = graph.add(graph.mul(scores, model.prob_a), model.prob_b)
    first = idioms.clip(graph, idioms.expit(graph, graph.op("Neg", exponents)), 1e-7, 1 - 1e-7)
    if model.classes == 2:
        return idioms.concat(graph, [first, graph.sub(1.0, first)])
    return coupled(graph, first, model.classes)
