"""H2O's compressed trees, and how a row of numbers and categories goes through them.

Source: hex.genmodel.algos.tree.SharedTreeMojoModel.scoreTree and GenmodelBitSet of H2O 3.46 (from MOJO
version 1.20 on).

- a row goes right where ``x >= threshold``, in float64 against a float32.
- of a split on categories, the members of a stored bit set go right; a category outside of its range is
  missing.
- missing values have a side of their own; or they are told from all others, which go left.
- leaves are float32, summed in float64 in the order of the trees.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from converters.classical import idioms
from converters.classical.families.trees import Tree
from converters.h2o_files import Mojo, damaged, trees_of
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

_AT_MOST, _LESS = 0, 1
_LEAF = 0xFFFF
_NA_VS_REST, _NA_LEFT, _LEFT = 1, 2, 4


@record
class CategorySplit:
    """Which side each category of a column takes, and, last, a missing one: 0 is left, 1 is right."""

    feature: int
    sides: Tuple[int, ...]


@record
class Node:
    """A node of a tree: a leaf with a value, or a test of a column: `split`, or x < `threshold` goes left."""

    value: float = 0.0
    feature: int = -1
    threshold: float = 0.0
    nan_left: bool = False
    split: Optional[CategorySplit] = None
    only_missing: bool = False
    """Whether all that is not missing goes left."""


@record
class Forest:
    """All trees in the order of their sums, and the class of each; `splits` in the order of their columns."""

    trees: Tuple[Tree, ...]
    values: Tuple[np.ndarray, ...]
    groups: Tuple[int, ...]
    splits: Tuple[CategorySplit, ...]
    thresholds: Dict[int, List[float]]


def forest(mojo: Mojo) -> Forest:
    """The trees of a MOJO, in the order in which they are summed."""
    if mojo.real("mojo_version") < 1.2:
        raise UnsupportedModelError(
            f"{mojo.path.name} was saved by H2O {mojo.info.get('h2o_version')}, whose trees had another form",
            hint="Save it with a newer H2O, up to 3.46.0.11.",
        )
    data = trees_of(mojo)
    parsed = {place: _parsed(mojo, content) for place, content in data.items()}
    found: Dict[CategorySplit, None] = {}
    thresholds: Dict[int, List[float]] = {}
    for nodes, _ in parsed.values():
        for node in nodes:
            if node.split is not None:
                found[node.split] = None
            elif node.feature >= 0:
                thresholds.setdefault(node.feature, []).append(node.threshold)
    splits = sorted(found, key=lambda split: split.feature)
    columns = {split: len(mojo.columns) + place for place, split in enumerate(splits)}
    order = sorted(parsed, key=lambda place: (place[1], place[0]))
    made = [_tree(*parsed[place], columns) for place in order]
    groups = tuple(place[0] for place in order)
    return Forest(
        tuple(tree for tree, _ in made), tuple(v for _, v in made), groups, tuple(splits), thresholds
    )


def extended(graph: Graph, x: Value, splits: Sequence[CategorySplit]) -> Value:
    """x [N, columns] float64, codes of categories with NaN for missing, and a column for each split."""
    import numpy as np

    parts = [x]
    for feature in sorted({split.feature for split in splits}):
        own = [split.sides for split in splits if split.feature == feature]
        table = np.array(own, dtype=np.float64).T.copy()
        code = idioms.column(graph, x, feature)
        known = graph.where(graph.op("IsNaN", code), float(len(table) - 1), code)
        parts.append(idioms.take(graph, table, graph.cast(known, "int64")))
    return idioms.concat(graph, parts)


Children = Dict[int, Tuple[int, int]]


def _parsed(mojo: Mojo, data: bytes) -> Tuple[List[Node], Children]:
    """The nodes of a tree, root first, and the two that follow each split."""
    nodes: List[Node] = []
    children: Children = {}
    todo: List[Tuple[int, bool, int, int]] = [(0, False, -1, 0)]
    try:
        while todo:
            place, is_leaf, parent, side = todo.pop()
            number = len(nodes)
            if parent >= 0:
                pair = list(children.get(parent, (-1, -1)))
                pair[side] = number
                children[parent] = (pair[0], pair[1])
            if is_leaf:
                nodes.append(Node(struct.unpack_from("<f", data, place)[0]))
                continue
            node, below = _node(mojo, data, place)
            nodes.append(node)
            todo += [(start, leaf, number, which) for which, (start, leaf) in enumerate(below)]
            if len(nodes) > len(data):
                raise damaged(mojo.path, "a tree of it has more nodes than bytes")
    except (struct.error, IndexError):
        raise damaged(mojo.path, "a tree of it ends too early") from None
    return nodes, children


Below = List[Tuple[int, bool]]


def _node(mojo: Mojo, data: bytes, place: int) -> Tuple[Node, Below]:
    """The node at a place, and where its left and right side begin and whether they are leaves."""
    kind, feature = struct.unpack_from("<BH", data, place)
    if feature == _LEAF:
        return Node(struct.unpack_from("<f", data, place + 3)[0]), []
    if feature >= len(mojo.columns):
        raise damaged(mojo.path, f"a tree of it splits on column {feature} of {len(mojo.columns)}")
    node, place = _split(mojo, data, place + 4, (kind & 12, feature, data[place + 3]))
    left, right = kind & 0x33, (kind & 0xC0) >> 2
    if left & 16:
        below = [(place, True), (place + 4, bool(right & 16))]
    else:
        size = int.from_bytes(data[place : place + left + 1], "little")
        start = place + left + 1
        below = [(start, False), (start + size, bool(right & 16))]
    if below[1][0] <= place or below[1][0] >= len(data):
        raise damaged(mojo.path, "a tree of it leads out of its bytes")
    return node, below


def _split(mojo: Mojo, data: bytes, place: int, what: Tuple[int, int, int]) -> Tuple[Node, int]:
    """The test of a node whose operator, column and side of missing values are known; and what follows."""
    operator, feature, direction = what
    leftward = direction in (_NA_LEFT, _LEFT)
    domain = mojo.domains[feature]
    if direction == _NA_VS_REST:
        return Node(feature=feature, threshold=float("inf"), only_missing=True), place
    if operator == 0:
        threshold = struct.unpack_from("<f", data, place)[0]
        return Node(feature=feature, threshold=threshold, nan_left=leftward), place + 4
    offset, count, start = 0, 32, place
    if operator == 12:
        offset, count = struct.unpack_from("<Hi", data, place)
        start = place + 6
    end = start + (count + 7) // 8
    bits = data[start:end]
    if not 0 < count <= 8 * len(bits) or domain is None:
        raise damaged(mojo.path, f"a tree of it splits column {mojo.columns[feature]!r} by a broken set")
    missing = 0 if leftward else 1
    sides = [
        (bits[i >> 3] >> (i & 7)) & 1 if 0 <= i < count else missing
        for i in range(-offset, len(domain) - offset)
    ]
    return Node(feature=feature, split=CategorySplit(feature, (*sides, missing))), end


def _tree(
    nodes: List[Node], children: Children, columns: Dict[CategorySplit, int]
) -> Tuple[Tree, np.ndarray]:
    """Arrays of a tree, and the values of its leaves."""
    import numpy as np

    pairs = np.array([children.get(i, (-1, -1)) for i in range(len(nodes))])
    feature = [node.feature if node.split is None else columns[node.split] for node in nodes]
    threshold = [node.threshold if node.split is None else 0.5 for node in nodes]
    tree = Tree(
        np.maximum(np.array(feature), 0),
        np.array(threshold, dtype=np.float64),
        pairs[:, 0],
        pairs[:, 1],
        np.array([int(node.nan_left) for node in nodes]),
        np.array([_AT_MOST if node.only_missing else _LESS for node in nodes]),
    )
    values = np.array([node.value for node in nodes], dtype=np.float64)
    return tree, values[tree.leaves]
