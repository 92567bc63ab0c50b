"""H2O's XGBoost models: a booster in XGBoost's old binary form, read here, and H2O's own one-hot columns.

Source: biz.k11i.xgboost (Predictor, GBTree, RegTreeImpl, ObjFunction), hex.genmodel.algos.xgboost (H2O 3.46).

- columns: categories one-hot, each column with a last one for missing and unknown, then the numbers; all
  float32. A sparse model reads zeros as missing.
- a row goes left where ``x < threshold`` in float32; missing values by the node's own side.
- sums: float32, from the margin of base_score on, tree after tree.
"""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Dict, List, Tuple

from converters import h2o_columns
from converters.classical import idioms
from converters.classical.families import xgboost_links as links
from converters.classical.families.boosted import Boosted, sums
from converters.classical.families.trees import Tree
from converters.h2o_files import Mojo, damaged, member
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

_LESS = 1
_MAGIC = b"binf"
_MODEL, _BOOSTER, _TREE, _NODE, _STATISTICS = 136, 160, 148, 20, 16
"""Sizes in bytes of the parts of the file."""


@record
class Booster:
    """What the file says: trees with one float32 for each leaf, and the group each tree adds to."""

    objective: str
    base: float
    groups: int
    trees: Tuple[Tree, ...]
    values: Tuple[np.ndarray, ...]
    tree_groups: Tuple[int, ...]


class _Bytes:
    """A file read from its start."""

    def __init__(self, mojo: Mojo, data: bytes) -> None:
        self.mojo, self.data, self.place = mojo, data, 0

    def take(self, count: int) -> bytes:
        part = self.data[self.place : self.place + count]
        if count < 0 or len(part) < count:
            raise damaged(self.mojo.path, "its booster ends too early")
        self.place += count
        return part

    def text(self) -> str:
        return self.take(struct.unpack("<Q", self.take(8))[0]).decode("ascii", "replace")


def booster(mojo: Mojo) -> Booster:
    """The trees of a MOJO. Raises `UnsupportedModelError` for dart, linear boosters and other objectives."""
    with zipfile.ZipFile(mojo.path) as archive:
        data = member(archive, "boosterBytes", mojo.path)
    file = _Bytes(mojo, data[len(_MAGIC) :] if data.startswith(_MAGIC) else data)
    base, features, classes, _, _, major = struct.unpack("<fIiiiI", file.take(_MODEL)[:24])
    objective, kind = file.text(), file.text()
    if kind != "gbtree" or objective not in links.KNOWN - links.HINGE or major < 1:
        raise UnsupportedModelError(
            f"{mojo.path.name} holds XGBoost's booster {kind!r} with the objective {objective!r}, saved by "
            f"{'a version before 1' if major < 1 else f'version {major}'}: that is not converted"
        )
    count = struct.unpack("<i", file.take(_BOOSTER)[:4])[0]
    if not 0 < count <= len(data):
        raise damaged(mojo.path, f"its booster announces {count} trees")
    found = [_tree(file, features) for _ in range(count)]
    groups = struct.unpack(f"<{count}i", file.take(4 * count))
    width = max(classes, 1)
    if not all(0 <= group < width for group in groups):
        raise damaged(mojo.path, "a tree of its booster adds to a class that is not there")
    trees, values = tuple(tree for tree, _ in found), tuple(value for _, value in found)
    return Booster(objective, base, width, trees, values, tuple(groups))


def _tree(file: _Bytes, features: int) -> Tuple[Tree, np.ndarray]:
    import numpy as np

    count = struct.unpack("<2i", file.take(_TREE)[:8])[1]
    kind = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("info", "<f4")])
    nodes = np.frombuffer(file.take(count * _NODE), dtype=kind)
    file.take(count * _STATISTICS)
    left, right = nodes["left"].astype(int), nodes["right"].astype(int)
    inner = left >= 0
    feature = (nodes["split"] & 0x7FFFFFFF).astype(int)
    below = np.concatenate([left[inner], right[inner]])
    whole = count > 0 and sorted(below.tolist()) == list(range(1, count))
    if not whole or (feature[inner] >= features).any():
        raise damaged(file.mojo.path, "a tree of its booster does not hold together")
    nan_left = (nodes["split"] >> 31).astype(int)
    threshold = np.where(inner, nodes["info"], 0).astype(np.float32)
    tree = Tree(
        np.where(inner, feature, 0),
        threshold,
        np.where(inner, left, -1),
        np.where(inner, right, -1),
        nan_left,
        np.full(count, _LESS),
    )
    return tree, nodes["info"][tree.leaves].astype(np.float32)


def answers(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """What XGBoost predicts, [N, groups] float32."""
    import numpy as np

    found = booster(mojo)
    start = links.base_margin(found.objective, np.full(found.groups, found.base, dtype=np.float32))
    boosted = Boosted(found.trees, found.values, found.tree_groups)
    margins = sums(graph, _columns(graph, x, mojo), boosted, start, exact=True)
    return links.answers(graph, found.objective, margins)


def thresholds(mojo: Mojo) -> Dict[int, List[float]]:
    """Where trees split the columns of numbers, by column of the model."""
    cats, offsets = h2o_columns.layout(mojo)
    found: Dict[int, List[float]] = {}
    for tree in booster(mojo).trees:
        for feature, threshold in zip(tree.feature[tree.left >= 0], tree.threshold[tree.left >= 0]):
            if feature >= offsets[-1]:
                found.setdefault(int(feature) - offsets[-1] + cats, []).append(float(threshold))
    return found


def _columns(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """The columns that the trees look at, [N, one-hot and numbers] float32."""
    import numpy as np

    if mojo.real("mojo_version") < 1.1:
        raise graph.refuse(f"saved by H2O {mojo.info.get('h2o_version')}, which encoded categories otherwise")
    sparse, missing = mojo.flag("sparse"), np.full(1, np.nan, np.float32)
    one, other = np.ones(1, np.float32), missing if sparse else np.zeros(1, np.float32)
    parts = [graph.where(hot, one, other) for hot in h2o_columns.hot(graph, x, mojo)]
    numbers = h2o_columns.numbers(graph, x, mojo)
    if numbers is not None:
        numbers = graph.cast(numbers, "float32")
        parts.append(graph.where(graph.equal(numbers, 0.0), missing, numbers) if sparse else numbers)
    return idioms.concat(graph, parts)
