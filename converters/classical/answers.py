"""Which of a model's methods become outputs, under which names; in the graph and in the source.

- classifier: ``label``, and ``probabilities`` where the source has predict_proba, else ``scores``
  where it has decision_function; several outputs' probabilities are ``probabilities_0``, …
- regressor: ``variable``, in the source's shape ([N], or [N, targets]).
- outlier detector: ``label`` and ``scores``. Clusterer: ``label``.
- transformer: ``transformed``; a mixed table one output [N, 1] per column, ``transformed_0``, …
- only densities (KernelDensity): ``scores``. Only neighbours (NearestNeighbors): ``distances``, ``indices``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Collection

from converters.classical import idioms
from converters.classical.columns import Features, Matrix
from converters.classical.emit import emit
from converters.classical.graph import Graph, Value
from converters.classical.releases import release
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np


@record
class Answer:
    """One method of the source, the name of its output and what it means (`role`)."""

    method: str
    name: str
    role: str


LABEL = Answer("predict", "label", "label")
PROBABILITIES = Answer("predict_proba", "probabilities", "probabilities")
SCORES = Answer("decision_function", "scores", "scores")
VALUES = Answer("predict", "variable", "values")
TRANSFORMED = Answer("transform", "transformed", "transformed")
DENSITIES = Answer("score_samples", "scores", "scores")
NEIGHBOURS = Answer("kneighbors", "distances", "values")
INDICES = "indices"
"""What `NEIGHBOURS` gives beside the distances."""
METHODS = ("predict", "transform", "score_samples", "kneighbors")
"""A fitted estimator has one of them."""

_NEVER = "does not support predicting probability"
"""What a model says that has predict_proba but answers for no row: Gaussian processes, one_vs_one."""


def answers(model: Any) -> tuple[Answer, ...]:
    """The answers that a fitted model has methods for; `observed` leaves out those it never gives."""
    kind = _kind(model)
    if kind == "classifier":
        found = [LABEL]
        if hasattr(model, "predict_proba"):
            found.append(PROBABILITIES)
        elif hasattr(model, "decision_function"):
            found.append(SCORES)
        return tuple(found)
    if kind == "outlier_detector":
        return (LABEL, SCORES) if hasattr(model, "decision_function") else (LABEL,)
    if kind == "clusterer" and hasattr(model, "predict"):
        return (LABEL,)
    if hasattr(model, "predict"):
        return (VALUES,)
    for answer in (TRANSFORMED, DENSITIES, NEIGHBOURS):
        if hasattr(model, answer.method):
            return (answer,)
    raise UnsupportedModelError(
        f"{type(model).__name__} has none of predict, transform, score_samples and kneighbors",
        hint="It answers only for the rows it was fitted on; there is nothing to convert.",
    )


def written(graph: Graph, model: Any, X: Features, names: Collection[str] | None = None) -> dict[str, Value]:
    """Write every answer, or those that are called `names`; gives the graph's outputs by name."""
    outputs: dict[str, Value] = {}
    for answer in _asked(model, names):
        result = emit(graph, model, answer.method, X)
        found = _named(answer.name, result if isinstance(result, list) else _split(graph, result))
        outputs.update({name: _widened(graph, value) for name, value in found.items()})
    return outputs


def _widened(graph: Graph, value: Value) -> Value:
    """Whole numbers of any width as int64, as `_plain` gives them."""
    return graph.cast(value, "int64") if value.dtype.startswith(("int", "uint")) else value


def _asked(model: Any, names: Collection[str] | None) -> list[Answer]:
    """All answers, or those that give one of `names`."""
    found = answers(model)
    if names is None or len(found) == 1:
        return list(found)
    return [answer for answer in found if any(name.startswith(answer.name) for name in names)]


def observed(
    model: Any, rows: Any, names: Collection[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The source's own answers by output name, and the role of each; all, or those called `names`."""
    arrays: dict[str, np.ndarray] = {}
    roles: dict[str, str] = {}
    for answer in _asked(model, names):
        try:
            result = _upright(answer, getattr(model, answer.method)(rows), rows)
        except ValueError as error:
            if answer is PROBABILITIES and _NEVER in str(error):
                continue
            raise
        found = _named(answer.name, _parts(list(result) if isinstance(result, tuple) else result))
        arrays.update({name: _plain(array) for name, array in found.items()})
        roles.update({name: "label" if name == INDICES else answer.role for name in found})
    return arrays, roles


def _upright(answer: Answer, result: Any, rows: Any) -> Any:
    """The result; SparsePCA forgets the first axis of a row alone, [K] instead of [1, K]."""
    alone = answer is TRANSFORMED and getattr(rows, "ndim", 1) == 2 and len(rows) == 1
    return result.reshape(1, -1) if alone and getattr(result, "ndim", 2) == 1 else result


def _named(name: str, results: Any) -> dict[str, Any]:
    if not isinstance(results, list):
        return {name: results}
    if name == NEIGHBOURS.name:
        return dict(zip((name, INDICES), results))
    return {f"{name}_{i}": result for i, result in enumerate(results)}


def _split(graph: Graph, result: Any) -> Any:
    """A value; a table with text becomes its columns, or one text matrix where all is text."""
    if isinstance(result, Value):
        return result
    if isinstance(result, Matrix):
        return result.value
    values = [column.value for column in result.columns]
    return idioms.concat(graph, values) if len({v.dtype for v in values}) == 1 else values


def _parts(result: Any) -> Any:
    """The source's result in the same parts as `_split` makes of the graph's."""
    import numpy as np

    if isinstance(result, list):
        return result
    if hasattr(result, "toarray"):
        return result.toarray()
    array = result.to_numpy() if hasattr(result, "to_numpy") else np.asarray(result)
    if array.dtype != object or array.ndim < 2:
        return array
    texts = [any(isinstance(item, str) for item in column) for column in array.T]
    if all(texts):
        return array
    if not any(texts):
        return array.astype(np.float64)
    return [
        column[:, None] if text else column[:, None].astype(np.float64)
        for column, text in zip(array.T, texts)
    ]


def _plain(result: Any) -> np.ndarray:
    """Labels as int64 or text, numbers as they are: what the graph can give."""
    import numpy as np

    array: np.ndarray = np.asarray(result)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype == object:
        return np.array([_word(item) for item in array.ravel()], dtype=np.str_).reshape(array.shape)
    return array


def _word(item: Any) -> str:
    return "" if item is None or item != item else str(item)


def _kind(model: Any) -> str | None:
    from sklearn.base import is_classifier, is_outlier_detector

    if is_classifier(model):
        return "classifier"
    if is_outlier_detector(model):
        return "outlier_detector"
    return "clusterer" if _is_clusterer(model) else None


def _is_clusterer(model: Any) -> bool:
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return getattr(last, "_estimator_type", None) == "clusterer" or _tagged(last) == "clusterer"


def _tagged(model: Any) -> str | None:
    # Before 1.6 there are no tags, though boosters made for later releases offer them, and raise.
    tags = getattr(model, "__sklearn_tags__", None) if release() >= (1, 6) else None
    kind: str | None = tags().estimator_type if tags is not None else None
    return kind
