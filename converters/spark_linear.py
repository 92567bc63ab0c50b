"""Spark ML's linear models, networks and k-means, and what Spark makes of the scores of classes.

Source: org.apache.spark.ml.classification, ml.regression, ml.clustering of Spark 4.0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Dict, Tuple

from converters.classical import idioms
from converters.spark_files import Stage, damaged, matrix, vector
from converters.spark_table import Table, constant_row

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

Scores = Tuple["Value", "Value | None", int]
"""Raw scores and probabilities [N, classes], and the number of classes."""


def classified(table: Table, stage: Stage, scores: Scores, prediction: Value | None = None) -> None:
    """The columns of a classifier; by default it predicts the first of the largest raw scores."""
    raw, chances, count = scores
    if stage.param("thresholds") is not None:
        raise table.graph.refuse("thresholds are not converted", "Save the model without them.")
    if stage.param("leafCol"):
        raise table.graph.refuse("leafCol is not converted", "Save the model without it.")
    if prediction is None:
        prediction = idioms.upright(table.graph, idioms.argmax(table.graph, raw))
    if stage.param("rawPredictionCol"):
        table.make(stage.column("rawPredictionCol"), raw, role="scores", width=count)
    if chances is not None and stage.param("probabilityCol"):
        table.make(stage.column("probabilityCol"), chances, role="probabilities", width=count)
    if stage.param("predictionCol"):
        value = table.graph.cast(prediction, "float64")
        table.make(stage.column("predictionCol"), value, role="label")


def two_chances(graph: Graph, raw: Value, factor: float) -> Value:
    """Of two classes: the logistic function at `factor` times the first raw score, and the rest."""
    first = graph.op("Neg", graph.mul(idioms.take_columns(graph, raw, [0]), factor))
    chance = graph.div(1.0, graph.add(1.0, graph.op("Exp", first)))
    return idioms.concat(graph, [chance, graph.sub(1.0, chance)])


def _logistic(table: Table, stage: Stage) -> None:
    row = stage.row()
    weights, bias = matrix(row["coefficientMatrix"]), vector(row["interceptVector"])
    graph, margins = table.graph, _margins(table, stage, weights, bias)
    if row["isMultinomial"]:
        count = len(bias)
        classified(table, stage, (margins, idioms.softmax(graph, margins), count))
        return
    raw = idioms.concat(graph, [graph.op("Neg", margins), margins])
    above = graph.greater(margins, _logit(float(stage.param("threshold"))))
    classified(table, stage, (raw, two_chances(graph, raw, 1.0), 2), above)


def _logit(threshold: float) -> float:
    if threshold in (0.0, 1.0):
        return math.inf if threshold else -math.inf
    return math.log(threshold / (1.0 - threshold))


def _svc(table: Table, stage: Stage) -> None:
    row = stage.row()
    weights, bias = vector(row["coefficients"])[None], constant_row([row["intercept"]])[0]
    graph, margins = table.graph, _margins(table, stage, weights, bias)
    raw = idioms.concat(graph, [graph.op("Neg", margins), margins])
    classified(table, stage, (raw, None, 2), graph.greater(margins, float(stage.param("threshold"))))


def _network(table: Table, stage: Stage) -> None:
    """Layers of sigmoids, the last a softmax; a layer's weights are column by column, then its biases."""
    graph, flat = table.graph, vector(stage.row()["weights"])
    layers = [int(size) for size in stage.param("layers")]
    value, start = table.numbers(stage.column("featuresCol"), layers[0]).value, 0
    for number, (before, after) in enumerate(zip(layers, layers[1:])):
        middle, end = start + before * after, start + (before + 1) * after
        if end > len(flat):
            raise damaged(stage.folder, f"{stage.uid} has {len(flat)} weights for layers of {layers}")
        weights = flat[start:middle].reshape(before, after)
        value = graph.add(graph.matmul(value, weights), constant_row(flat[middle:end]))
        value = idioms.expit(graph, value) if number < len(layers) - 2 else value
        start = end
    classified(table, stage, (value, idioms.softmax(graph, value), layers[-1]))


def _linear(table: Table, stage: Stage) -> None:
    row = stage.row()
    weights, bias = vector(row["coefficients"])[None], constant_row([row["intercept"]])[0]
    table.make(stage.column("predictionCol"), _margins(table, stage, weights, bias))


def _generalized(table: Table, stage: Stage) -> None:
    """The inverse of the link, kept inside of what the family allows."""
    graph, row = table.graph, stage.row()
    if stage.param("offsetCol"):
        raise graph.refuse("offsetCol is not converted", "Fit the model without it.")
    weights, bias = vector(row["coefficients"])[None], constant_row([row["intercept"]])[0]
    eta = _margins(table, stage, weights, bias)
    family = str(stage.param("family")).lower()
    link = str(stage.param("link") or _LINKS.get(family, "")).lower()
    undone = _UNDONE.get(link)
    if family not in _LINKS or undone is None:
        raise graph.refuse(f"the family {family!r} with the link {link!r} is not converted")
    mean = undone(graph, eta)
    if family == "binomial":
        mean = idioms.clip(graph, mean, 1e-16, 1.0 - 1e-16)
    elif family in ("poisson", "gamma"):
        mean = idioms.clip(graph, mean, 1e-16, 1.7976931348623157e308)
    table.make(stage.column("predictionCol"), mean)
    if stage.param("linkPredictionCol"):
        table.make(stage.column("linkPredictionCol"), eta)


_LINKS = {"gaussian": "identity", "binomial": "logit", "poisson": "log", "gamma": "inverse"}
_UNDONE: Dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda graph, eta: eta,
    "log": lambda graph, eta: graph.op("Exp", eta),
    "inverse": lambda graph, eta: graph.div(1.0, eta),
    "logit": lambda graph, eta: graph.div(1.0, graph.add(1.0, graph.op("Exp", graph.op("Neg", eta)))),
    "sqrt": lambda graph, eta: graph.mul(eta, eta),
}


def _kmeans(table: Table, stage: Stage) -> None:
    """The nearest centre, the first of equals."""
    import numpy as np

    graph = table.graph
    rows = sorted(stage.rows(), key=lambda row: int(row["clusterIdx"]))
    centres = np.array([vector(row["clusterCenter"]) for row in rows])
    if stage.param("distanceMeasure") != "euclidean":
        raise graph.refuse(f"the distance {stage.param('distanceMeasure')!r} is not converted")
    column = table.numbers(stage.column("featuresCol"), centres.shape[1])
    table.jump(column, {i: centres[:, i].tolist() for i in range(centres.shape[1])})
    apart = graph.sub(graph.op("Unsqueeze", column.value, np.array([1])), centres[None])
    squares = graph.op("ReduceSum", graph.mul(apart, apart), np.array([2]), keepdims=0)
    nearest = graph.cast(idioms.upright(graph, idioms.argmin(graph, squares)), "int32")
    table.make(stage.column("predictionCol"), nearest, role="label")


def _margins(table: Table, stage: Stage, weights: np.ndarray, bias: np.ndarray) -> Value:
    """[N, rows of the weights]."""
    if weights.shape[0] != len(bias):
        raise damaged(stage.folder, f"{stage.uid} has weights {weights.shape} and {len(bias)} intercepts")
    column = table.numbers(stage.column("featuresCol"), weights.shape[1])
    return table.graph.add(table.graph.matmul(column.value, weights.T.copy()), constant_row(bias))


WRITERS: Dict[str, Callable[[Table, Stage], Any]] = {
    "classification.LogisticRegressionModel": _logistic,
    "classification.LinearSVCModel": _svc,
    "classification.MultilayerPerceptronClassificationModel": _network,
    "regression.LinearRegressionModel": _linear,
    "regression.GeneralizedLinearRegressionModel": _generalized,
    "clustering.KMeansModel": _kmeans,
}
