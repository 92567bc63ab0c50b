"""scikit-learn's max-heap of fixed size (sklearn/utils/_heap.pyx): pushed values, row by row of a batch.

A value enters if it is below the top, which it replaces; then it sinks: the larger child, of equals the left,
rises while it is above the value. The heap starts full of infinities with number 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from converters.classical import idioms
from converters.classical.graph import Graph, Value

if TYPE_CHECKING:
    import onnx


def kept(graph: Graph, values: Value, numbers: Value, size: int) -> tuple[Value, Value]:
    """What is in heaps of `size` after all values [T, M] were pushed, with their numbers: [T, size] each."""
    import numpy as np

    places = _places(size)
    start = np.where(np.arange(places) < size, np.inf, -np.inf)[None]
    rows = graph.op("Shape", values, start=0, end=1)
    shape = graph.op("Concat", rows, np.array([places]), axis=0)
    heap = graph.op("Expand", start, shape)
    items = graph.op("Expand", np.zeros((1, places), dtype=np.int64), shape)
    steps = [graph.op("Transpose", one, perm=[1, 0]) for one in (values, numbers)]
    found = graph.ops(
        "Scan", heap, items, *steps, dtypes=("float64", "int64"), num_scan_inputs=2, body=_push(graph, size)
    )
    inside = [graph.op("Slice", one, *(np.array([n]) for n in (0, size, 1))) for one in found]
    return inside[0], inside[1]


def _places(size: int) -> int:
    """A full binary tree that holds the heap; places beyond `size` hold -inf."""
    return int(2 ** size.bit_length() - 1)


def _push(graph: Graph, size: int) -> onnx.GraphProto:
    """The body of the scan: (heap, items, value [T], number [T]) to (heap, items)."""
    from onnx import compose

    body = Graph()
    heap = body.input("heap", "float64", ("t", _places(size)))
    items = body.input("items", "int64", ("t", _places(size)))
    value = idioms.upright(body, body.input("value", "float64", ("t",)))
    number = idioms.upright(body, body.input("number", "int64", ("t",)))
    changed = _sunk(body, (heap, items), (value, number), size.bit_length() - 1)
    body.output("heap_out", changed[0], ("t", _places(size)))
    body.output("items_out", changed[1], ("t", _places(size)))
    return compose.add_prefix_graph(body.build().graph, "/".join([*graph.path, "push."]))


def _sunk(
    body: Graph, state: tuple[Value, Value], pushed: tuple[Value, Value], depth: int
) -> tuple[Value, Value]:
    """Heap and items after one push: what stands at each place of the way down, written at once."""
    heap, items = state
    top = [idioms.take_columns(body, one, [0]) for one in state]
    place = body.mul(top[1], 0)
    moving = body.less(pushed[0], top[0])
    places: list[Value] = []
    written: tuple[list[Value], list[Value]] = ([], [])
    now: Sequence[Value] = top
    for level in range(depth + 1):
        places.append(place)
        placed = [body.where(moving, new, old) for new, old in zip(pushed, now)]
        if level < depth:
            child, risen = _larger_child(body, heap, items, place)
            rises = body.op("And", moving, body.less(pushed[0], risen[0]))
            placed = [body.where(rises, up, other) for up, other in zip(risen, placed)]
            place, now, moving = child, risen, rises
        for column, value in zip(written, placed):
            column.append(value)
    where = idioms.concat(body, places)
    return (
        body.op("ScatterElements", heap, where, idioms.concat(body, written[0]), axis=1),
        body.op("ScatterElements", items, where, idioms.concat(body, written[1]), axis=1),
    )


def _larger_child(body: Graph, heap: Value, items: Value, place: Value) -> tuple[Value, tuple[Value, Value]]:
    """The place of the larger child, of equals the left, and what stands there."""
    left = body.add(body.mul(place, 2), 1)
    right = body.add(left, 1)
    values = [body.op("GatherElements", heap, one, axis=1) for one in (left, right)]
    is_left = body.greater_equal(values[0], values[1])
    child = body.where(is_left, left, right)
    return child, (body.where(is_left, *values), body.op("GatherElements", items, child, axis=1))
