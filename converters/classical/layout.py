"""From a fitted model to named inputs, and from fed arrays back to the rows its source sees.

- fitted on a frame (``feature_names_in_``): one input [N, 1] per column, named as the column;
- begins with a vectorizer: one input ``text`` [N];
- encodes labels: one vector ``X`` [N];
- reads mappings (DictVectorizer): one input [N, 1] per name;
- fitted on an object array of mixed values: one input [N, 1] per column, ``x0``, ``x1``, …;
- else one matrix ``X`` [N, features].

ONNX has no missing text: where the model knows missing texts, the empty string is one.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from converters.classical import idioms
from converters.classical.columns import Column, Features, Matrix, Table
from converters.classical.emit import emitter
from converters.classical.facts import Feature
from converters.classical.fitted import shows_float32
from converters.classical.graph import Graph
from converters.classical.releases import column_names
from zoo.errors import MissingInputError
from zoo.records import TensorSpec, record

if TYPE_CHECKING:
    import numpy as np


@record
class Layout:
    """How rows reach the model.

    `kind`: ``matrix``, ``table``, ``columns``, ``mappings``, ``texts`` or ``labels``.
    """

    kind: str
    features: tuple[Feature, ...]
    names: tuple[str, ...] = ()
    dtype: Optional[str] = None
    """Of the whole matrix, where kind is ``"matrix"``."""

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the graph, in order."""
        if self.kind == "texts":
            return (TensorSpec("text", "string", ("batch",)),)
        if self.kind == "labels":
            return (TensorSpec("X", self.features[0].dtype or "float64", ("batch",)),)
        if self.kind == "matrix":
            return (TensorSpec("X", self.dtype or "float64", ("batch", len(self.features))),)
        return tuple(
            TensorSpec(name, feature.dtype or "float64", ("batch", 1))
            for name, feature in zip(self.names, self.features)
            if feature.used
        )


@record
class Asked:
    """What the user says of the inputs: dtypes that override, dtypes of a sample that fill in, float32.

    `shown`: the dtype of numbers that nobody says anything of, as the fitted model shows it.
    """

    inputs: tuple[TensorSpec, ...] = ()
    sampled: tuple[TensorSpec, ...] = ()
    float32: bool = False
    shown: str = "float64"


NOTHING_ASKED = Asked()


def layout(model: Any, asked: Asked = NOTHING_ASKED) -> Layout:
    """What a fitted model reads. Raises `UnsupportedModelError` for a step without emitter."""
    writer = emitter(model, Graph())
    asked = dataclasses.replace(asked, shown="float32" if shows_float32(model) else "float64")
    features = tuple(writer.facts())
    names = tuple(column_names(model))
    if writer.reads_texts:
        return Layout("texts", features[:1])
    if writer.reads_labels:
        return Layout("labels", _typed(features[:1], ["X"], asked))
    if writer.keys:
        return Layout("mappings", _typed(features, writer.keys, asked), writer.keys)
    if names:
        return Layout("table", _typed(features, names, asked), names)
    if _mixed(features):
        numbered = tuple(f"x{i}" for i in range(len(features)))
        return Layout("columns", _typed(features, numbered, asked), numbered)
    whole = _typed([Feature(_common(features))], ["X"], asked)[0]
    return Layout("matrix", features, dtype=whole.dtype)


def enter(graph: Graph, found: Layout) -> Features:
    """Create the graph's inputs and the features that the model reads from them."""
    if found.kind == "texts":
        value = graph.input("text", "string", ("batch",))
        return Table((Column(idioms.upright(graph, value)),), flat=True)
    if found.kind == "labels":
        value = graph.input("X", found.specs[0].dtype, ("batch",))
        return Table((Column(idioms.upright(graph, value)),), flat=True)
    if found.kind == "matrix":
        spec = found.specs[0]
        return Matrix(graph.input(spec.name, spec.dtype, spec.shape), len(found.features))
    entered = {spec.name: graph.input(spec.name, spec.dtype, spec.shape) for spec in found.specs}
    unused = graph.constant([[0.0]])
    return Table(tuple(Column(entered.get(name, unused), name) for name in found.names))


def rows(found: Layout, feeds: Mapping[str, np.ndarray]) -> Any:
    """What the source is called with: an array, a frame, or a list of texts."""
    if found.kind == "texts":
        return [str(item) for item in _fed(feeds, "text").ravel()]
    if found.kind == "labels":
        return _restored(_fed(feeds, "X").ravel(), found.features[0])
    if found.kind == "matrix":
        matrix = _fed(feeds, "X")
        return _restored_matrix(matrix, found.features)
    arrays = {
        name: _restored(_fed(feeds, name).reshape(-1), feature)
        for name, feature in zip(found.names, found.features)
        if feature.used
    }
    if found.kind == "mappings":
        return [dict(zip(arrays, line)) for line in zip(*(array.tolist() for array in arrays.values()))]
    return _frame(found, arrays) if found.kind == "table" else _objects(found, arrays)


def _fed(feeds: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    import numpy as np

    if name not in feeds:
        raise MissingInputError(f"no input {name!r} was fed", hint=f"Fed: {', '.join(feeds)}")
    return np.asarray(feeds[name])


def _frame(found: Layout, arrays: dict[str, np.ndarray]) -> Any:
    import pandas as pd

    levels = {name: feature.levels for name, feature in zip(found.names, found.features)}
    # A series of its own keeps the dtype: pandas 3 makes text of objects, and NaN of their None.
    return pd.DataFrame(
        {
            name: pd.Series(array, dtype=array.dtype)
            if levels[name] is None
            else _categorical(array, levels[name])
            for name, array in arrays.items()
        }
    )


def _categorical(array: np.ndarray, levels: Any) -> Any:
    """A pandas categorical: positions are looked up here, as pandas warns of unknown values."""
    import pandas as pd

    known = pd.Index(levels)
    return pd.Categorical.from_codes(known.get_indexer(pd.Index(array)), known)


def _objects(found: Layout, arrays: dict[str, np.ndarray]) -> np.ndarray:
    import numpy as np

    count = len(next(iter(arrays.values())))
    table = np.zeros((count, len(found.names)), dtype=object)
    for i, name in enumerate(found.names):
        if name in arrays:
            table[:, i] = arrays[name].tolist()
    return table


def _restored_matrix(matrix: np.ndarray, features: Sequence[Feature]) -> np.ndarray:
    import numpy as np

    if matrix.dtype.kind not in "OU" and not any(feature.boxed for feature in features):
        return matrix
    return np.stack([_restored(column, own) for column, own in zip(matrix.T, features)], axis=1)


def _restored(array: np.ndarray, feature: Feature) -> np.ndarray:
    """Text as python objects, the empty string as the missing value it stands for."""
    import numpy as np

    if array.dtype.kind not in "OU":
        return array.astype(object) if feature.boxed else array
    texts = array.astype(object)
    if feature.missing is not None:
        texts[array.astype(str) == ""] = np.nan if feature.missing == "nan" else None
    return texts


def _typed(features: Sequence[Feature], names: Sequence[str], asked: Asked) -> tuple[Feature, ...]:
    given = {spec.name: spec.dtype for spec in asked.inputs}
    sampled = {spec.name: spec.dtype for spec in asked.sampled}
    typed = []
    for name, feature in zip(names, features):
        dtype = given.get(name) or feature.dtype or sampled.get(name) or asked.shown
        narrow = asked.float32 and dtype == "float64" and feature.levels is None
        dtype = "float32" if narrow else dtype
        typed.append(dataclasses.replace(feature, dtype=dtype))
    return tuple(typed)


def _mixed(features: Sequence[Feature]) -> bool:
    texts = [feature.dtype == "string" for feature in features]
    return any(texts) and not all(texts)


def _common(features: Sequence[Feature]) -> str | None:
    """The dtype of the matrix that the features were cut from; None where any number will do."""
    known = {feature.dtype for feature in features if feature.dtype}
    if known in ({"string"}, {"bool"}, {"float32"}):
        return known.pop()
    if not known:
        return None
    return "int64" if "int64" in known and not any(name.startswith("float") for name in known) else "float64"
