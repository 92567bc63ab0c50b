"""What a LightGBM model says, as arrays: the text form, which every LightGBM writes and reads.

Source: src/boosting/gbdt_model_text.cpp, src/io/tree.cpp, include/LightGBM/tree.h (4.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from converters.classical.families.boosted import SetSplit
from converters.classical.families.trees import Tree
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

ZERO = 1.0000000180025095e-35
"""kZeroThreshold, 1e-35 in float32: numbers up to it are read as 0."""
MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2


@record
class Forest:
    """A LightGBM model; tree i adds to output ``i % outputs``."""

    objective: tuple[str, ...]
    """The words of the objective, ``("binary", "sigmoid:1")``; empty for one of the user's own."""
    outputs: int
    averaged: bool
    names: tuple[str, ...]
    trees: tuple[Nodes, ...]
    levels: tuple[Optional[tuple[Any, ...]], ...]
    """Of columns that were pandas categoricals; their codes are positions in it."""
    levels_known: bool = True

    def setting(self, key: str, default: float) -> float:
        """A number of the objective, such as ``sigmoid``."""
        for word in self.objective[1:]:
            name, _, value = word.partition(":")
            if name == key:
                return float(value)
        return default


@record
class Nodes:
    """One tree as the text has it; children below 0 are leaves, ``~child``."""

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    sets: tuple[frozenset[int], ...] = ()
    constants: Optional[np.ndarray] = None
    terms: tuple[tuple[tuple[int, float], ...], ...] = ()
    """Of linear trees: (feature, coefficient) of each leaf."""

    @property
    def categorical(self) -> np.ndarray:
        return (self.decision & 1) > 0

    @property
    def default_left(self) -> np.ndarray:
        return (self.decision & 2) > 0

    @property
    def missing(self) -> np.ndarray:
        return (self.decision >> 2) & 3


def read(text: str) -> Forest:
    """The model of a text file or of ``Booster.model_to_string()``."""
    header, _, rest = text.partition("\nTree=")
    body, _, tail = rest.partition("end of trees")
    settings = _fields(header)
    blocks = body.split("\nTree=") if rest else []
    names = tuple(settings.get("feature_names", "").split(" "))
    levels, known = _levels(tail, len(names))
    return Forest(
        objective=tuple(settings.get("objective", "").split()),
        outputs=int(settings["num_tree_per_iteration"]),
        averaged="average_output" in settings,
        names=names,
        trees=tuple(
            _nodes(dict(line.partition("=")[::2] for line in block.splitlines())) for block in blocks
        ),
        levels=levels,
        levels_known=known,
    )


def _fields(text: str) -> dict[str, str]:
    parts = (line.partition("=") for line in text.splitlines())
    return {key: value for key, _, value in parts}


def _levels(tail: str, count: int) -> tuple[tuple[Optional[tuple[Any, ...]], ...], bool]:
    """The levels of each column; not known where the file does not say which columns have them."""
    import json

    lines = tail.splitlines()
    stored = [line for line in lines if line.startswith("pandas_categorical:")]
    lists = (json.loads(stored[-1].partition(":")[2]) or []) if stored else []
    named = [line[1:-1] for line in lines if line.startswith("[categorical_feature:")]
    indices = [int(i) for i in named[-1].partition(":")[2].split(",") if i.strip()] if named else []
    if not lists:
        return (None,) * count, True
    if len(lists) != len(indices):
        return (None,) * count, False
    found = dict(zip(sorted(indices), map(tuple, lists)))
    return tuple(found.get(i) for i in range(count)), True


def _nodes(fields: dict[str, str]) -> Nodes:
    import numpy as np

    def numbers(key: str, dtype: Any = np.int64) -> np.ndarray:
        return np.array(fields.get(key, "").split(), dtype=np.float64).astype(dtype)

    linear = fields.get("is_linear", "0") == "1"
    return Nodes(
        *(numbers("split_feature"), numbers("threshold", np.float64), numbers("decision_type")),
        *(numbers("left_child"), numbers("right_child"), numbers("leaf_value", np.float64)),
        sets=_sets(numbers("cat_boundaries"), numbers("cat_threshold")),
        constants=numbers("leaf_const", np.float64) if linear else None,
        terms=_terms(fields) if linear else (),
    )


def _sets(boundaries: np.ndarray, words: np.ndarray) -> tuple[frozenset[int], ...]:
    """The bit sets of categories: 32 to a word, the lowest first."""
    return tuple(
        frozenset(
            32 * place + bit
            for place, word in enumerate(words[start:end].tolist())
            for bit in range(32)
            if word >> bit & 1
        )
        for start, end in zip(boundaries, boundaries[1:])
    )


def _terms(fields: dict[str, str]) -> tuple[tuple[tuple[int, float], ...], ...]:
    features = iter(map(int, fields.get("leaf_features", "").split()))
    coefficients = iter(map(float, fields.get("leaf_coeff", "").split()))
    sizes = map(int, fields.get("num_features", "").split())
    return tuple(tuple((next(features), next(coefficients)) for _ in range(size)) for size in sizes)


def set_splits(nodes: Nodes) -> dict[int, SetSplit]:
    """The splits on categories by node: members go left."""
    import numpy as np

    return {
        int(i): SetSplit(int(nodes.feature[i]), nodes.sets[int(nodes.threshold[i])])
        for i in np.flatnonzero(nodes.categorical)
    }


def tree_arrays(nodes: Nodes, sets: dict[SetSplit, int], zeros: dict[int, int]) -> Tree:
    """The nodes as a `Tree`: ``x <= threshold`` goes left. Leaf i is node ``splits + i``.

    `sets` are the columns of splits on categories; `zeros` those of features where 0 is missing.
    """
    import numpy as np

    count, leaves = len(nodes.feature), len(nodes.values)
    feature, threshold = nodes.feature.copy(), _flushed(nodes.threshold)
    nan_left = np.where(nodes.missing == MISSING_NONE, nodes.threshold >= 0, nodes.default_left)
    for i in np.flatnonzero(nodes.missing == MISSING_ZERO).tolist():
        feature[i] = zeros.get(int(feature[i]), feature[i])
    for i, split in set_splits(nodes).items():
        feature[i], threshold[i], nan_left[i] = sets[split], 0.5, False
    ends = np.full(leaves, -1)
    return Tree(
        np.concatenate([feature, np.zeros(leaves, dtype=np.int64)]),
        np.concatenate([threshold, np.zeros(leaves)]),
        np.concatenate([_places(nodes.left, count), ends]),
        np.concatenate([_places(nodes.right, count), ends]),
        np.concatenate([nan_left, np.zeros(leaves)]).astype(np.int64),
    )


def _flushed(threshold: np.ndarray) -> np.ndarray:
    """Thresholds that say of every x what the source says of x with all |x| <= ZERO read as 0."""
    import numpy as np

    upward = np.where((threshold >= 0) & (threshold < ZERO), ZERO, threshold)
    return np.where((threshold < 0) & (threshold >= -ZERO), np.nextafter(-ZERO, -np.inf), upward)


def _places(children: np.ndarray, count: int) -> np.ndarray:
    import numpy as np

    return np.where(children < 0, count + ~children, children)
