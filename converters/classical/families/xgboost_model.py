"""What an XGBoost model file says, as arrays: the JSON form, which every XGBoost from 1.0 on writes.

Source: doc/model.schema of XGBoost, src/tree/tree_model.cc, src/gbm/gbtree.cc (3.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from converters.classical.families.boosted import MODE_LESS, SetSplit
from converters.classical.families.trees import Tree
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np


@record
class Learner:
    """An XGBoost model. `groups` is the number of outputs; `base` one score for each, or one for all."""

    objective: str
    booster: str
    base: np.ndarray
    groups: int
    features: int
    types: tuple[str, ...]
    trees: tuple[dict[str, Any], ...] = ()
    tree_groups: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    """Of dart, one for each tree; of gblinear, [features + 1, groups] row by row."""
    levels: tuple[Optional[tuple[Any, ...]], ...] = ()


def read(booster: Any, iterations: int | None) -> Learner:
    """The model behind an `xgboost.Booster`; `iterations` rounds of it (None: all)."""
    import json

    import numpy as np

    learner = json.loads(booster.save_raw("json"))["learner"]
    parameters, ensemble = learner["learner_model_param"], learner["gradient_booster"]
    kind = ensemble["name"]
    base = np.array(_numbers(parameters["base_score"]), dtype=np.float32)
    targets = int(parameters.get("num_target", "1"))
    groups = max(int(parameters["num_class"]), targets, 1)
    count = int(parameters["num_feature"])
    types = tuple(learner.get("feature_types") or ())
    if kind == "gblinear":
        weights = tuple(map(float, ensemble["model"]["weights"]))
        return Learner(learner["objective"]["name"], kind, base, groups, count, types, weights=weights)
    model = ensemble["gbtree"]["model"] if kind == "dart" else ensemble["model"]
    used = _used_trees(model, iterations, groups)
    return Learner(
        *(learner["objective"]["name"], kind, base, groups, count, types),
        trees=tuple(model["trees"][:used]),
        tree_groups=tuple(map(int, model["tree_info"][:used])),
        weights=tuple(map(float, ensemble["weight_drop"][:used])) if kind == "dart" else (),
        levels=_levels(model.get("cats"), count),
    )


def _numbers(text: str) -> list[float]:
    import json

    value = json.loads(text) if text.startswith("[") else float(text)
    return value if isinstance(value, list) else [value]


def _used_trees(model: dict[str, Any], iterations: int | None, groups: int) -> int:
    if iterations is None:
        return len(model["trees"])
    starts = model.get("iteration_indptr")
    if starts:
        return int(starts[iterations])
    return iterations * groups * max(int(model["gbtree_model_param"].get("num_parallel_tree", "1")), 1)


def _levels(categories: Any, count: int) -> tuple[Optional[tuple[Any, ...]], ...]:
    """The categories that a frame had when the model was fitted, feature by feature (from 3.1 on)."""
    if not categories or not categories["enc"]:
        return (None,) * count
    return tuple(_level(encoded) for encoded in categories["enc"])


def _level(encoded: dict[str, Any]) -> tuple[Any, ...] | None:
    if not encoded["values"]:
        return None
    if "offsets" not in encoded:
        return tuple(encoded["values"])
    content = bytes(value % 256 for value in encoded["values"])
    if not content.isascii():
        raise UnsupportedModelError(
            "XGBoost cuts categories with letters beyond ASCII off when it saves them: they cannot be told",
            hint="Train with ASCII categories, or with their codes (df[column].cat.codes).",
        )
    offsets = encoded["offsets"]
    return tuple(content[a:b].decode("utf-8") for a, b in zip(offsets, offsets[1:]))


def set_splits(tree: dict[str, Any]) -> dict[int, SetSplit]:
    """The splits on categories by node: a category of the stored set goes right."""
    found = {}
    nodes, starts, sizes = (tree.get(f"categories_{key}") or [] for key in ("nodes", "segments", "sizes"))
    for node, start, size in zip(nodes, starts, sizes):
        members = frozenset(map(int, tree["categories"][start : start + size]))
        found[int(node)] = SetSplit(int(tree["split_indices"][node]), members)
    return found


def tree_arrays(tree: dict[str, Any], columns: dict[SetSplit, int]) -> Tree:
    """The nodes of a tree: ``x < threshold`` in float32 goes left, NaN by default_left."""
    import numpy as np

    left = np.array(tree["left_children"])
    leaf = left < 0
    feature = np.array(tree["split_indices"])
    threshold = np.array(tree["split_conditions"], dtype=np.float32)
    for node, split in set_splits(tree).items():
        feature[node], threshold[node] = columns[split], 0.5
    threshold[leaf] = 0
    modes = np.full(len(left), MODE_LESS)
    nan_left = np.array(tree["default_left"]).astype(int)
    return Tree(feature, threshold, left, np.array(tree["right_children"]), nan_left, modes)


def leaf_values(tree: dict[str, Any]) -> np.ndarray:
    """One float32 for each leaf; [leaves, outputs] where leaves hold vectors."""
    import numpy as np

    leaf = np.flatnonzero(np.array(tree["left_children"]) < 0)
    size = vector_size(tree)
    if size == 1:
        return np.array(tree["split_conditions"], dtype=np.float32)[leaf]
    if "leaf_weights" in tree:
        table = np.array(tree["leaf_weights"], dtype=np.float32).reshape(-1, size)
        leaf = np.array(tree["right_children"])[leaf]
    else:
        table = np.array(tree["base_weights"], dtype=np.float32).reshape(-1, size)
    return np.asarray(table[leaf])


def vector_size(tree: dict[str, Any]) -> int:
    """How many numbers a leaf holds; older versions write 0 for one."""
    return max(int(tree["tree_param"].get("size_leaf_vector", "1")), 1)
