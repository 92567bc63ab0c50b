"""Core ML's models of features computed by numpy, from the specification and in float64: the reference.

Core ML runs on Apple's systems only. This shares the reading of the file with the graph, and no arithmetic.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping

from converters import coreml_steps, coreml_trees
from converters.coreml_steps import Step, Steps

if TYPE_CHECKING:
    import numpy as np


def computed(model: Steps, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs in their dtypes. Raises ValueError for a category that an encoder refuses."""
    import numpy as np

    known: dict[str, Any] = {}
    for name, kind in model.inputs:
        known[name] = np.asarray(feeds[name]).reshape(-1, kind.columns)
    for step in model.steps:
        for (name, kind), value in zip(step.outputs, STEPS[step.kind](step, [known[n] for n in step.inputs])):
            known[name] = value.astype(np.int64) if kind.dtype == "int64" else value
    return {name: _as_promised(known[name], kind) for name, kind in model.outputs}


def _as_promised(value: np.ndarray, kind: coreml_steps.Kind) -> Any:
    import numpy as np

    array = value.reshape(len(value)) if kind.width is None else value
    return array.astype(np.str_).astype(object) if kind.dtype == "string" else array.astype(kind.dtype)


def _rows(values: list[np.ndarray]) -> Any:
    import numpy as np

    return np.concatenate([value.astype(np.float64) for value in values], axis=1)


# --- transformers -----------------------------------------------------------------------------------


def _scaler(step: Step, values: list[np.ndarray]) -> list[Any]:
    shifts, factors = coreml_steps.scaled(step)
    return [(_rows(values) + shifts) * factors]


def _imputer(step: Step, values: list[np.ndarray]) -> list[Any]:
    import numpy as np

    what, by = coreml_steps.replaced(step)
    rows = _rows(values)
    gaps = np.isnan(rows) if what != what else rows == what
    return [np.where(gaps, np.array(by, dtype=np.float64), rows)]


def _encoder(step: Step, values: list[np.ndarray]) -> list[Any]:
    import numpy as np

    known = coreml_steps.categories(step)
    places = {item: place for place, item in enumerate(known)}
    rows = np.zeros((len(values[0]), len(known)))
    for row, item in enumerate(values[0].reshape(-1).tolist()):
        if item in places:
            rows[row, places[item]] = 1.0
        elif step.parameters.handleUnknown == 0:
            raise ValueError(f"{step.where}: {item!r} is none of its categories")
    return [rows]


def _extractor(step: Step, values: list[np.ndarray]) -> list[Any]:
    return [_rows(values)[:, list(step.parameters.extractIndex)]]


def _together(step: Step, values: list[np.ndarray]) -> list[Any]:
    return [_rows(values)]


# --- models -------------------------------------------------------------------------------------------


def _trees(step: Step, rows: np.ndarray) -> Any:
    import numpy as np

    total = np.tile(coreml_trees.base(step), (len(rows), 1))
    for tree in step.trees:
        for leaf, places in _leaves(tree, rows):
            total[places] += coreml_trees.values(step, leaf)
    return total


_BRANCHES: tuple[Callable[[Any, float], Any], ...] = (
    lambda x, value: x <= value,
    lambda x, value: x < value,
    lambda x, value: x >= value,
    lambda x, value: x > value,
    lambda x, value: x == value,
    lambda x, value: x != value,
)


def _leaves(tree: coreml_trees.Nodes, rows: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Each leaf with the places of the rows that end in it."""
    import numpy as np

    left = [(tree.nodes[tree.root], np.arange(len(rows)))]
    while left:
        node, places = left.pop()
        if node.nodeBehavior == coreml_trees.LEAF:
            yield node, places
            continue
        x = rows[places, node.branchFeatureIndex]
        taken = _BRANCHES[node.nodeBehavior](x, node.branchFeatureValue)
        taken = np.where(np.isnan(x), node.missingValueTracksTrueChild, taken)
        left.append((tree.nodes[node.trueChildNodeId], places[taken]))
        left.append((tree.nodes[node.falseChildNodeId], places[~taken]))


def _linked(name: str, score: np.ndarray) -> Any:
    import numpy as np

    if name in ("Logit", "Regression_Logistic"):
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-score))
    if name == "Probit":
        return np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[np.float64])(score)
    if name == "Classification_SoftMax":
        shares = np.exp(score - score.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)
    return score


def _scores(step: Step, values: list[np.ndarray]) -> Any:
    import numpy as np

    rows = _rows(values)
    if step.kind.startswith("tree"):
        return _trees(step, rows)
    weights, offsets = coreml_steps.linear(step)
    return rows @ np.array(weights).T + offsets


def _regressor(step: Step, values: list[np.ndarray]) -> list[Any]:
    return [_linked(coreml_steps.link(step), _scores(step, values))]


def _classifier(step: Step, values: list[np.ndarray]) -> list[Any]:
    import numpy as np

    labels, chances = coreml_steps.labels(step), _chances(step, _scores(step, values))
    two = chances.shape[1] == 2 and coreml_steps.is_single(step)
    place = (chances[:, 1] >= chances[:, 0]).astype(int) if two else chances.argmax(axis=1)
    return [np.array(labels, dtype=object)[place].reshape(-1, 1), chances]


def _chances(step: Step, scores: np.ndarray) -> Any:
    import numpy as np

    name = coreml_steps.link(step)
    if coreml_steps.is_single(step):
        name = "Logit" if name == "Classification_SoftMaxWithZeroClassReference" else name
        second = _linked(name, scores)
        return np.concatenate([1 - second, second], axis=1)
    if coreml_steps.has_reference(step):
        scores, name = np.concatenate([np.zeros((len(scores), 1)), scores], axis=1), "Classification_SoftMax"
    chances = _linked(name, scores)
    one_against_rest = step.kind == "glmClassifier" and name == "Logit"
    return chances / chances.sum(axis=1, keepdims=True) if one_against_rest else chances


def _support_vectors(step: Step, values: list[np.ndarray]) -> list[Any]:
    import numpy as np

    vectors, weights, rho = coreml_steps.support_vectors(step)
    rows, kernel = _rows(values), step.parameters.kernel
    kind = kernel.WhichOneof("kernel")
    given = getattr(kernel, kind)
    if kind == "rbfKernel":
        near = np.exp(-given.gamma * ((rows[:, None, :] - vectors[None]) ** 2).sum(axis=2))
    else:
        near = rows @ np.array(vectors).T
    if kind == "polyKernel":
        near = (given.gamma * near + given.c) ** given.degree
    elif kind == "sigmoidKernel":
        near = np.tanh(given.gamma * near + given.c)
    return [(near @ np.array(weights) - rho).reshape(-1, 1)]


STEPS: dict[str, Callable[[Step, list[Any]], list[Any]]] = {
    "scaler": _scaler,
    "imputer": _imputer,
    "oneHotEncoder": _encoder,
    "arrayFeatureExtractor": _extractor,
    "featureVectorizer": _together,
    "identity": _together,
    "treeEnsembleRegressor": _regressor,
    "treeEnsembleClassifier": _classifier,
    "glmRegressor": _regressor,
    "glmClassifier": _classifier,
    "supportVectorRegressor": _support_vectors,
}
