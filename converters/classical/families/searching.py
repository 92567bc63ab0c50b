"""Which of equally far fitted rows the source's neighbour searches keep.

Source: sklearn/neighbors/_binary_tree.pxi.tp, _kd_tree.pyx.tp, _ball_tree.pyx.tp, utils/_heap.pyx,
metrics/_pairwise_distances_reduction/_argkmin.pyx.tp (1.9).

- a search pushes every fitted row onto a max-heap of k places, which starts full of infinities. A row is let
  in only if it is nearer (`<`) than the heap's top, which it replaces before it sinks: so where several
  are equally far, their order and the heap's shape decide who stays.
- brute force (ArgKmin): in the order of the fitted rows. (Beyond 256 fitted rows and with several threads
  the source splits them and merges the heaps; which of equals stays depends then on the number of threads.)
- trees: depth first, of two children the one whose lower bound of distances is smaller (`<=`), in leaves in
  the order of the tree's index. A child beyond the heap's top is skipped, which changes nothing.
- kd tree bound: distance to the box; ball tree: ``max(0, distance to the centre - radius)``.
- brute force that falls back on numpy.argpartition (cosine, whole numbers, sparse rows, rows of another
  dtype): any of equals, depending on the machine.

The heap is run only for rows whose k-th and next neighbour are equally far, and only over the
fitted rows that can have been let in: those below the k-th smallest of all rows before their block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from converters.classical import heap, idioms
from converters.classical.branches import branch
from converters.classical.families.distances import Metric, distances, ranks
from converters.classical.graph import Graph, Value
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np


@record
class Order:
    """The order in which fitted rows are visited, by the row that is searched for."""

    fitted: int
    visits: int
    of: Callable[[Value], Value]
    """From numbers of rows [T] to numbers of fitted rows [T, visits]; `fitted` where nothing is visited."""


def nearest_rows(
    graph: Graph, rank: Value, order: Order, count: int, turn: bool = False
) -> tuple[Value, Value]:
    """Ranks and numbers of the `count` nearest by `rank` [N, fitted], ascending: [N, count] each.

    `turn`: also the turn in which equally far ones come matters, not only who they are.
    """
    import numpy as np

    if count >= order.fitted:
        return _smallest(graph, rank, count)
    near, rows = _smallest(graph, rank, count + 1)
    kept, chosen = (_cut(graph, one, 0, count) for one in (near, rows))
    first = 0 if turn else count - 1
    same = graph.equal(_cut(graph, near, first, count), _cut(graph, near, first + 1, count + 1))
    tied = graph.cast(idioms.row_max(graph, graph.cast(same, "int64"), keepdims=False), "bool")
    some = graph.greater(graph.op("ReduceSum", graph.cast(tied, "int64"), keepdims=0), 0)

    def decided() -> tuple[Value, ...]:
        which = graph.op("Squeeze", graph.op("NonZero", tied, dtype="int64"), np.array([0]))
        values, places = _by_heap(graph, (rank, which), order, count)
        at = idioms.upright(graph, which)
        return tuple(graph.op("ScatterND", a, at, b) for a, b in ((kept, values), (chosen, places)))

    found = branch(graph, some, decided, lambda: (kept, chosen))
    return found[0], found[1]


def in_sequence(graph: Graph, fitted: int) -> Order:
    """The order of brute force: as they were fitted."""
    import numpy as np

    return Order(fitted, fitted, lambda which: _repeated(graph, np.arange(fitted)[None], which))


def in_tree(graph: Graph, x: Value, tree: Any, metric: Metric) -> Order:
    """The order of a tree's depth-first search for rows of x [N, F]."""
    import numpy as np

    _, index, nodes, bounds = (np.asarray(array) for array in tree.get_arrays())
    leaves = np.flatnonzero(nodes["is_leaf"])
    table = _padded([index[nodes[i]["idx_start"] : nodes[i]["idx_end"]] for i in leaves], len(index))

    def visited(which: Value) -> Value:
        if len(leaves) == 1:
            return _repeated(graph, table, which)
        rows = graph.cast(graph.op("Gather", x, which, axis=0), "float64")
        if len(bounds) == 1:
            return _visits(graph, _ball(graph, rows, (nodes, bounds[0]), metric), leaves, table)
        return _visits(graph, _box(graph, rows, bounds, metric), leaves, table)

    return Order(len(index), table.size, visited)


def _padded(parts: list[np.ndarray], filler: int) -> np.ndarray:
    """Parts as the rows of one table."""
    import numpy as np

    table = np.full((len(parts), max(map(len, parts))), filler, dtype=np.int64)
    for row, part in zip(table, parts):
        row[: len(part)] = part
    return table


def _repeated(graph: Graph, row: np.ndarray, which: Value) -> Value:
    """A row [1, K] for each of `which` [T]: [T, K]."""
    import numpy as np

    shape = graph.op("Concat", graph.op("Shape", which), np.array([row.shape[1]]), axis=0)
    return graph.op("Expand", row, shape)


def _smallest(graph: Graph, x: Value, count: int | Value) -> tuple[Value, Value]:
    """The smallest of each row, ascending, of equals the first, and their places."""
    import numpy as np

    k = np.array([count]) if isinstance(count, int) else count
    found = graph.ops("TopK", x, k, dtypes=(x.dtype, "int64"), axis=1, largest=0, sorted=1)
    return found[0], found[1]


def _cut(graph: Graph, x: Value, start: int, stop: int) -> Value:
    """x[:, start:stop]."""
    import numpy as np

    return graph.op("Slice", x, *(np.array([number]) for number in (start, stop, 1)))


def _visits(graph: Graph, bound: Value, leaves: np.ndarray, table: np.ndarray) -> Value:
    """Fitted rows in the order of visits, by the bounds [T, nodes] of all nodes."""
    import numpy as np

    first = int(leaves[0])
    left, right = (idioms.take_columns(graph, bound, range(i, 2 * first + 1, 2)) for i in (1, 2))
    forward = graph.cast(graph.less_equal(left, right), "float64")
    signs, late = np.zeros((first, len(leaves))), np.zeros(len(leaves))
    for column, leaf in enumerate(leaves):
        node, weight = int(leaf), 1.0
        while node:
            node, is_right, weight = (node - 1) // 2, node % 2 == 0, weight * 2
            signs[node, column] = weight if is_right else -weight
            late[column] += 0.0 if is_right else weight
    key = graph.add(graph.matmul(forward, signs), late.reshape(1, -1))
    _, turn = _smallest(graph, key, len(leaves))
    return graph.op("Reshape", idioms.take(graph, table, turn), np.array([0, table.size]))


def _box(graph: Graph, x: Value, bounds: np.ndarray, metric: Metric) -> Value:
    """Ranks of the distances to the boxes of all nodes: [T, nodes]."""
    low, high = bounds[0], bounds[1]
    largest = metric.name in ("chebyshev", "infinity")
    total: Value | None = None
    for feature in range(low.shape[1]):
        value = idioms.take_columns(graph, x, [feature])
        below = graph.maximum(graph.sub(low[None, :, feature], value), 0.0)
        apart = graph.add(below, graph.maximum(graph.sub(value, high[None, :, feature]), 0.0))
        if largest:
            total = apart if total is None else graph.maximum(total, apart)
            continue
        power = metric.power
        term = apart if power == 1 else graph.mul(apart, apart) if power == 2 else graph.pow(apart, power)
        total = term if total is None else graph.add(total, term)
    assert total is not None
    return total


def _ball(graph: Graph, x: Value, arrays: tuple[Any, Any], metric: Metric) -> Value:
    """Distances to the balls of all nodes: [T, nodes]."""
    nodes, centres = arrays
    apart = distances(graph, ranks(graph, x, centres, metric), metric)
    return graph.maximum(graph.sub(apart, nodes["radius"].reshape(1, -1)), 0.0)


def _by_heap(graph: Graph, searched: tuple[Value, Value], order: Order, count: int) -> tuple[Value, Value]:
    """Ranks and rows that the heap keeps for the numbered rows, ascending: [T, count] each."""
    import numpy as np

    rank, which = searched
    visited = order.of(which)
    nothing = _repeated(graph, np.array([[np.inf]]), which)
    own = graph.op("Concat", graph.op("Gather", rank, which, axis=0), nothing, axis=1)
    values = graph.op("GatherElements", own, visited, axis=1)
    entering = _entering(graph, values, order.visits, count)
    none = _repeated(graph, np.array([[order.fitted]]), which)
    pushed = [
        graph.op("GatherElements", graph.op("Concat", all_of, filler, axis=1), entering, axis=1)
        for all_of, filler in ((values, nothing), (visited, none))
    ]
    kept, rows = heap.kept(graph, pushed[0], pushed[1], count)
    near, places = _smallest(graph, kept, count)
    return near, graph.op("GatherElements", rows, places, axis=1)


def _entering(graph: Graph, values: Value, visits: int, count: int) -> Value:
    """Numbers of the visits that can enter the heap, in order, `visits` behind them: [T, M]."""
    import numpy as np

    blocks = [graph.less(_cut(graph, values, 0, count), float("inf"))]
    start = count
    while start < visits:
        bar = _cut(graph, _smallest(graph, _cut(graph, values, 0, start), count)[0], count - 1, count)
        blocks.append(graph.less(_cut(graph, values, start, 2 * start), bar))
        start *= 2
    allowed = idioms.concat(graph, [graph.cast(block, "int64") for block in blocks])
    most = graph.op("ReduceMax", idioms.row_sum(graph, allowed), keepdims=0)
    width = graph.op("Reshape", graph.maximum(most, count), np.array([1]))
    key = graph.where(graph.cast(allowed, "bool"), np.arange(visits)[None], visits)
    return _smallest(graph, key, width)[0]


def undecided(points: np.ndarray, said: np.ndarray) -> tuple[int, int] | None:
    """Two fitted rows that are equally far from every row but say different things, if there are such."""
    import numpy as np

    first: dict[bytes, int] = {}
    for row, point in enumerate(np.ascontiguousarray(points)):
        other = first.setdefault(point.tobytes(), row)
        if not np.array_equal(said[row], said[other]):
            return other, row
    return None


def parallel(points: np.ndarray, said: np.ndarray, dtype: np.dtype) -> tuple[int, int] | None:
    """The same for cosine distances: two rows whose directions the rounding of `dtype` cannot tell apart."""
    import numpy as np

    length = np.linalg.norm(points, axis=1, keepdims=True)
    directions = points / np.where(length == 0, 1, length)
    least = _UNTOLD * np.finfo(dtype).eps
    for row, direction in enumerate(directions[1:], start=1):
        near = np.flatnonzero(1 - directions[:row] @ direction < least)
        differing = [int(other) for other in near if not np.array_equal(said[row], said[other])]
        if differing:
            return differing[0], row
    return None


def crowded(points: np.ndarray, said: np.ndarray, count: int, metric: str) -> tuple[int, int] | None:
    """Two rows that say different things and are equally far from a fitted row, where its `count` nearest
    end: texts without a word in common are all at cosine distance 1, rows of flags at few distances.
    """
    import numpy as np

    places = points
    if metric == "cosine":
        length = np.linalg.norm(points, axis=1, keepdims=True)
        places = points / np.where(length == 0, 1, length)
    for place in places[:: max(1, len(points) // MOST_ASKED)]:
        apart = 1 - places @ place if metric == "cosine" else ((places - place) ** 2).sum(axis=1)
        bound = np.partition(apart, count - 1)[count - 1]
        least = _UNTOLD * np.finfo(np.float64).eps * max(1.0, abs(bound))
        near = np.flatnonzero(np.abs(apart - bound) < least)
        others = [int(i) for i in near[1:] if not np.array_equal(said[i], said[near[0]])]
        if others and (apart < bound).sum() + len(near) > count:
            return int(near[0]), others[0]
    return None


MOST_ASKED = 200
"""Fitted rows for which it is asked where their nearest end."""
_UNTOLD = 64
"""Roundings by which cosine distances of one row to two others differ without a meaning."""
