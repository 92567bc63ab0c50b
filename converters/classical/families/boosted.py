"""What all boosters share: trees that add to sums in the source's order, and splits on categories.

- sums: a TreeEnsemble node of ONNX Runtime adds trees one after the other, in their order, in
  the dtype of the thresholds; for larger batches its threads add parts, which moves the last bit.
  Where sums are compared with each other, each tree has a target of its own and CumSum adds them.
  The start value is a first tree of one leaf, so that it is added first, as the sources do.
- categories: a split on a set becomes a derived column of zeros (left) and ones (right), looked up
  in a fitted table by the code of the category, NaN where the row is missing. No operator of
  ONNX for sets of categories is relied on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Mapping, Sequence

from converters.classical import idioms
from converters.classical.families.trees import Tree, added, ensemble, leaf_rows
from converters.classical.graph import Value
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph

MODE_LESS = 1
_AT_ONCE = 64
"""Trees whose vectors are held at once: [64, rows, outputs]."""


@record
class Boosted:
    """Trees, one value per leaf (in the order of ``Tree.leaves``), and the sum each tree adds to."""

    trees: tuple[Tree, ...]
    values: tuple[np.ndarray, ...]
    groups: tuple[int, ...]


@record
class SetSplit:
    """A split of a feature on a set of category codes."""

    feature: int
    members: frozenset[int]


def leaf(dtype: str = "float64") -> Tree:
    """A tree that is one leaf."""
    import numpy as np

    none = np.array([-1])
    return Tree(np.array([0]), np.zeros(1, dtype), none, none, np.array([0]))


def sums(graph: Graph, x: Value, boosted: Boosted, start: np.ndarray, exact: bool = False) -> Value:
    """start[k] plus the values of the trees of group k, in order: [N, len(start)] in x's dtype.

    `exact` adds in that order whatever ONNX Runtime's number of threads: for answers that choose
    between sums, where two may be equal.
    """
    import numpy as np

    trees = [leaf() for _ in start] + list(boosted.trees)
    values = [np.array([value]) for value in start] + list(boosted.values)
    groups = [*range(len(start)), *boosted.groups]
    places = _rounds(groups, len(start)) if exact else groups
    targets = np.repeat(places, [len(value) for value in values]).astype(np.int64)
    found = ensemble(graph, x, trees, np.concatenate(values).astype(x.dtype), targets)
    if not exact:
        return found
    by_round = graph.op("Reshape", found, np.array([0, -1, len(start)]))
    return added(graph, by_round, max(places) // len(start) + 1, axis=1)


def _rounds(groups: Sequence[int], count: int) -> list[int]:
    """The place of each tree in a table [rounds, groups]: the n-th tree of a group is in row n."""
    seen = [0] * count
    places = []
    for group in groups:
        places.append(seen[group] * count + group)
        seen[group] += 1
    return places


def vector_sums(
    graph: Graph, x: Value, trees: Sequence[Tree], values: Sequence[np.ndarray], start: np.ndarray
) -> Value:
    """As `sums`, for leaves that hold a vector [leaves, K]: looked up and added in order."""
    import numpy as np

    table = np.concatenate(list(values)).astype(x.dtype)
    rows = graph.op("Transpose", leaf_rows(graph, x, trees), perm=[1, 0])
    total = idioms.broadcast_rows(graph, start.astype(x.dtype))
    for first in range(0, len(trees), _AT_ONCE):
        last = min(first + _AT_ONCE, len(trees))
        some = graph.op("Slice", rows, np.array([first]), np.array([last]), np.array([0]))
        begin = graph.op("Unsqueeze", total, np.array([0]))
        terms = graph.op("Concat", begin, idioms.take(graph, table, some), axis=0)
        total = added(graph, terms, last - first + 1)
    return total


def with_sets(
    graph: Graph, x: Value, codes: Mapping[int, Value], splits: Sequence[SetSplit], inside: int
) -> Value:
    """x with one column for each split behind its own: `inside` for its members, else the other of 0 and 1.

    ``codes[f]`` [N, 1] in x's dtype: the category of feature f, -1 where it is none, NaN where missing.
    """
    parts = [x]
    for feature in sorted({split.feature for split in splits}):
        own = [split.members for split in splits if split.feature == feature]
        parts.append(_looked_up(graph, codes[feature], own, inside))
    return idioms.concat(graph, parts)


def _looked_up(graph: Graph, code: Value, sets: Sequence[frozenset[int]], inside: int) -> Value:
    """[N, sets] in code's dtype; the last row of the table stands for every other code."""
    import numpy as np

    count = max((max(one, default=-1) for one in sets), default=-1) + 1
    table = np.full((count + 1, len(sets)), 1 - inside, dtype=code.dtype)
    for column, members in enumerate(sets):
        table[sorted(members), column] = inside
    known = graph.op("And", graph.greater_equal(code, 0.0), graph.less(code, float(count)))
    row = graph.cast(graph.where(known, code, float(count)), "int64")
    found = idioms.take(graph, table, idioms.flat(graph, row))
    return graph.where(graph.op("IsNaN", code), float("nan"), found)


def ordered_sets(splits: Iterable[SetSplit]) -> list[SetSplit]:
    """Every split once, feature by feature, in an order that does not change between runs."""
    return sorted(set(splits), key=lambda split: (split.feature, sorted(split.members)))


def set_columns(splits: Sequence[SetSplit], width: int) -> dict[SetSplit, int]:
    """The column that `with_sets` gives each split."""
    ordered = sorted(splits, key=lambda split: split.feature)
    return {split: width + place for place, split in enumerate(ordered)}
